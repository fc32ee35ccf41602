package gateway

import (
	"errors"
	"strings"
	"testing"
)

func TestWebhookURLs(t *testing.T) {
	urls, faults := ParseWebhookURLs([]string{"https://crm.example.org/hooks/", "http://10.0.0.1:8080", "ftp://x/", "https://a@b/", "crm"})
	if len(faults) != 3 || faults[2] == nil || faults[3] == nil || faults[4] == nil {
		t.Errorf("faults %v", faults)
	}
	for url, want := range map[string]bool{
		"https://crm.example.org/hooks":                              true,
		"https://CRM.example.org/hooks/sms?x=1":                      true,
		"http://10.0.0.1:8080/":                                      true,
		"http://10.0.0.1:8080/any/path":                              true,
		"https://crm.example.org/hooksmith":                          false,
		"https://crm.example.org/":                                   false,
		"http://crm.example.org/hooks/":                              false, // not by TLS
		"https://crm.example.org.evil.test/hooks":                    false,
		"https://crm.example.org@evil.test/hooks":                    false,
		"https://crm.example.org/hooks/../admin":                     false,
		"https://crm.example.org/hooks/%2e%2e/x":                     false,
		"https://crm.example.org/hooks/#x":                           false,
		"http://10.0.0.1/":                                           false,
		"http://169.254.169.254/latest":                              false,
		"file:///etc/passwd":                                         false,
		"https:///hooks":                                             false,
		"":                                                           false,
		"https://crm.example.org/hooks/" + strings.Repeat("x", 2000): false,
	} {
		if err := urls.Check(url); (err == nil) != want || err != nil && !errors.Is(err, ErrWebhookURL) {
			t.Errorf("%.80s: %v", url, err)
		}
	}
	all, faults := ParseWebhookURLs([]string{"*"})
	if err := all.Check("http://169.254.169.254/latest"); err != nil || faults != nil {
		t.Error(err, faults)
	}
	if err := all.Check("gopher://x/"); err == nil {
		t.Error("all are http and https")
	}
	var none WebhookURLs
	if err := none.Check("https://crm.example.org/hooks"); err == nil || !strings.Contains(err.Error(), "mi.webhooks") {
		t.Error(err)
	}
}

func FuzzWebhookURLs(f *testing.F) {
	urls, _ := ParseWebhookURLs([]string{"https://crm.example.org/hooks/"})
	f.Add("https://crm.example.org/hooks/x")
	f.Add("https://crm.example.org\\@evil.test/hooks/")
	f.Fuzz(func(t *testing.T, s string) {
		if urls.Check(s) == nil && !strings.HasPrefix(strings.ToLower(s), "https://crm.example.org/") {
			t.Errorf("%q is allowed", s)
		}
	})
}
