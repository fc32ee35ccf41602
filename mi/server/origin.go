package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// foreign says why a request does not come from a program that was pointed at us, but from a web page: a browser tells where a
// page came from in Origin, and a name that an attacker pointed at us (DNS rebinding) stands in Host.
func (s *Server) foreign(r *http.Request) string {
	// Who must show a token is not fooled by a name: a page of a foreign host has none, and no browser adds it by itself.
	if !s.isOurs(r) && (!s.access.needed() || bearer(r) == "") {
		return "Host " + strings.ToValidUTF8(r.Host, "?") + " is none of this gateway's: use its address, or add its origin to mi.origins"
	}
	for _, origin := range r.Header.Values("Origin") {
		if s.origins.Load().pages[strings.ToLower(origin)] {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return "Origin " + strings.ToValidUTF8(origin, "?") + " is foreign: add it to mi.origins if it may rule the gateway"
		}
	}
	return foreignPart(r)
}

// foreignPart says why a request without an Origin comes from a foreign page all the same: as an image, a script or a frame of it,
// which would get what there is (Fetch Metadata, W3C). A link that somebody followed does not.
func foreignPart(r *http.Request) string {
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Header.Get("Origin") != "" || site != "cross-site" && site != "same-site" {
		return ""
	}
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" && r.Method == http.MethodGet {
		return ""
	}
	return "this is part of a foreign page, which may get nothing from the gateway"
}

// shared lets a page of mi.origins read what it is answered, and answers its browser's question whether it may ask at all (CORS,
// Fetch standard, 3.2): the question comes without a token. done says that it was one.
func (s *Server) shared(w http.ResponseWriter, r *http.Request) (done bool) {
	origin := r.Header.Get("Origin")
	if !s.origins.Load().pages[strings.ToLower(origin)] {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Vary", "Origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "POST, GET")
	h.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
	h.Set("Access-Control-Max-Age", "600")
	if r.Header.Get("Access-Control-Request-Private-Network") != "" { // of a page that is served from elsewhere
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// isOurs says that Host is a name of ours: loopback, the address that the request came to, the host that is listened on, or one
// of Origins.
func (s *Server) isOurs(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if isLoopback(host) || host == s.host && host != "" || s.origins.Load().hosts[host] {
		return true
	}
	address, err := netip.ParseAddr(host)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return err == nil && ok && local.AddrPort().Addr().Unmap() == address.Unmap()
}

// origins are `mi.origins`.
type origins struct {
	pages map[string]bool // as Origin says them
	hosts map[string]bool // theirs, which are names of ours, without port
}

func newOrigins(list []string) *origins {
	o := &origins{pages: make(map[string]bool), hosts: make(map[string]bool)}
	for _, origin := range list {
		o.pages[strings.ToLower(strings.TrimSuffix(origin, "/"))] = true
		if u, err := url.Parse(origin); err == nil && u.Hostname() != "" {
			o.hosts[strings.ToLower(u.Hostname())] = true
		}
	}
	return o
}
