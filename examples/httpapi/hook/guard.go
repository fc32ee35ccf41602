package hook

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// ErrAddress is what refuses a URL that we must not call.
var ErrAddress = errors.New("this address may not be called")

// forbidden are networks that are nobody's on the Internet (RFC 6890): what a customer could reach there is ours.
var forbidden = func() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16"} {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}()

// isPublic says that an address is somewhere on the Internet.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range forbidden {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// CheckURL says what is wrong with the URL of a webhook. Where its name leads to is checked when it is called.
func CheckURL(address string, private bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("want an http:// or https:// URL")
	case len(address) > 2000:
		return errors.New("longer than 2000 octets")
	case u.User != nil:
		return errors.New("no user and password in the URL: deliveries are signed")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !private && !isPublic(ip) {
		return fmt.Errorf("%w: it is not on the Internet", ErrAddress)
	}
	return nil
}

// client calls customers' servers: no redirect is followed, and unless private nothing is reached that is not on the Internet, whatever
// their DNS says at that moment.
func client(private bool, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: timeout / 2}
	if !private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !isPublic(to.Addr()) {
				return fmt.Errorf("%w: %s is not on the Internet", ErrAddress, address)
			}
			return nil
		}
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: timeout / 2,
			MaxIdleConnsPerHost: perCustomer,
			IdleConnTimeout:     30 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
