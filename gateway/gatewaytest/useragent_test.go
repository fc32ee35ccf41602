package gatewaytest

import (
	"context"
	"testing"
	"time"
)

// TestUserAgents sends from one user agent to another, by each transport.
func TestUserAgents(t *testing.T) {
	a, err := NewUserAgent("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := NewUserAgent("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, transport := range []string{"udp", "tcp"} {
		for _, want := range []int{200, 404} {
			b.Answer(want)
			code, err := a.Send(ctx, "sip:+4915112345678@"+b.Addr()+";transport="+transport, "100", "grüß dich")
			if err != nil || code != want {
				t.Fatalf("%s: code %d, error %v; want %d", transport, code, err, want)
			}
			m := <-b.Received()
			if m.Text != "grüß dich" || m.From != "sip:100@127.0.0.1" || m.ContentType != "text/plain;charset=UTF-8" {
				t.Errorf("%s: got %+v", transport, m)
			}
		}
	}
}
