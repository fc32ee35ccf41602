package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// A webhook makes the gateway post to a URL that somebody else gave, to wherever the gateway reaches: behind a firewall, on its own
// host, a cloud's metadata. So `mi.webhooks` lists where it may.

// WebhookURLs are the beginnings that URLs of webhooks may have.
type WebhookURLs struct {
	all  bool
	list []*url.URL
}

// ErrWebhookURL is what the errors of URLs of webhooks are.
var ErrWebhookURL = errors.New("the URL cannot be a webhook")

// ParseWebhookURLs reads `mi.webhooks`: beginnings of URLs, or * for all. The faults are by their index.
func ParseWebhookURLs(list []string) (w WebhookURLs, faults map[int]error) {
	for i, s := range list {
		if s == "*" {
			w.all = true
			continue
		}
		u, err := parseWebhook(s)
		if err != nil {
			if faults == nil {
				faults = make(map[int]error)
			}
			faults[i] = err
			continue
		}
		w.list = append(w.list, u)
	}
	return w, faults
}

// parseWebhook reads a URL that may be one of a webhook.
func parseWebhook(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > maxURL:
		return nil, fmt.Errorf("%w: it is no URL of at most %d octets", ErrWebhookURL, maxURL) // url's error would show what may be secret in it
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, fmt.Errorf("%w: want one of https or http, with a host", ErrWebhookURL)
	case u.User != nil:
		return nil, fmt.Errorf("%w: it has a user in it: the signature tells who posts", ErrWebhookURL)
	case u.Fragment != "" || u.Opaque != "":
		return nil, fmt.Errorf("%w: it has a fragment", ErrWebhookURL)
	case u.Path != "" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") && u.Path != "/":
		return nil, fmt.Errorf("%w: its path has . or .. or // in it", ErrWebhookURL)
	}
	return u, nil
}

// maxURL bounds a URL.
const maxURL = 2000

// Check says why a webhook may not post to a URL.
func (w WebhookURLs) Check(s string) error {
	u, err := parseWebhook(s)
	if err != nil {
		return err
	}
	if w.all {
		return nil
	}
	for _, begin := range w.list {
		if u.Scheme == begin.Scheme && strings.EqualFold(u.Host, begin.Host) && within(u.Path, begin.Path) {
			return nil
		}
	}
	return fmt.Errorf("%w: mi.webhooks in the configuration names none that %s://%s%s begins with", ErrWebhookURL, u.Scheme, u.Host, u.Path)
}

// within says that a path is at or below another.
func within(p, top string) bool {
	top = strings.TrimSuffix(top, "/")
	return p == top || strings.HasPrefix(p, top+"/")
}
