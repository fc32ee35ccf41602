package sip

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		cfg  Config
		want []string // what each fault begins with
	}{
		{Config{}, nil},
		{Config{
			Listen: []string{"udp:0.0.0.0:5060", "tcp:[::1]:0"}, Domain: "gw.example.com", Trusted: []netip.Prefix{},
			OutboundURI: []string{"sip:proxy.example.com", "sip:[2001:db8::1]:5070;transport=TCP;user=phone;x=y", "SIP:192.0.2.1"},
		}, nil},
		{Config{Listen: []string{"udp:127.0.0.1:5060", "sctp:127.0.0.1:5061", "tcp:5060", "udp:x:99999"}},
			[]string{`sip.listen[1]: "sctp:127.0.0.1:5061": want udp:`, `sip.listen[2]: "tcp:5060"`, `sip.listen[3]: "udp:x:99999": port`}},
		{Config{OutboundURI: []string{"sip:a", "proxy:5060", "sips:a", "sip:a;transport=sctp", "sip:a;lr", "sip:", "sip:a b", "sip:a:99999", "sip:a?x=y", ""}},
			[]string{"sip.outbound_uri[1]: ", "sip.outbound_uri[2]: ", "sip.outbound_uri[3]: ", "sip.outbound_uri[4]: ", "sip.outbound_uri[5]: ",
				"sip.outbound_uri[6]: ", "sip.outbound_uri[7]: ", "sip.outbound_uri[8]: ", "sip.outbound_uri[9]: "}},
		{Config{
			OutboundURI: []string{"sip:gw:secret@a", "sip:gw:secret@a;transport=sctp"}, OutboundPassword: "file:/nonexistent",
			Realm: "a\"b", Algorithms: []string{"MD5", "SHA-1"}, Reports: "loud",
		}, []string{`sip.outbound_uri[1]: "sip:a;transport=sctp"`, "sip.outbound_user: ", "sip.outbound_password: open /nonexistent",
			"sip.realm: ", "sip.auth_algorithms[1]: ", "sip.reports: "}},
		{Config{Listen: []string{"tcp:127.0.0.1:0"}, OutboundURI: []string{"sip:a;transport=tcp", "sip:a"}},
			[]string{"sip.outbound_uri[1]: goes by udp, and sip.listen has no udp: listener"}},
		{Config{Listen: []string{"udp:127.0.0.1:0", "tls:127.0.0.1:0", "ws:127.0.0.1:0", "wss:127.0.0.1:0"}, TLSVerifyClient: true},
			[]string{`sip.listen[1]: "tls:127.0.0.1:0" needs a certificate`, `sip.listen[3]: `, "sip.tls_ca: "}},
		{Config{TLSCert: "x"}, []string{"sip.tls_key: "}},
		{Config{TLSCert: "/nonexistent", TLSKey: "/nonexistent"}, nil},
		{Config{OutboundURI: make([]string, 65)}, append([]string{}, manyFaults(65)...)},
		{Config{Domain: "a b\r\n", Trusted: []netip.Prefix{{}}, MaxBody: -1, T1: -time.Second},
			[]string{`sip.domain: "a b\r\n"`, "sip.trusted[0]: ", "sip.max_body: ", "sip.t1: "}},
	} {
		faults := Check(test.cfg)
		if len(faults) != len(test.want) {
			t.Errorf("%+v: %v, want %q", test.cfg, faults, test.want)
			continue
		}
		for i, f := range faults {
			if !strings.HasPrefix(f.Error(), test.want[i]) {
				t.Errorf("%v, want %s", f, test.want[i])
			}
		}
	}
}

func manyFaults(n int) (s []string) {
	for i := range n {
		s = append(s, fmt.Sprintf("sip.outbound_uri[%d]: ", i))
	}
	return append(s, "sip.outbound_uri: has 65 next hops")
}

// TestNewNamesTheKey: an error says which key is at fault, and leaves no socket open.
func TestNewNamesTheKey(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.LocalAddr().String()
	_ = free.Close()
	_, err = New(Config{Listen: []string{"udp:" + address, "tcp:" + taken.Addr().String()}}, handlerFunc(nil), slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "sip.listen[1]: ") {
		t.Errorf("error %v", err)
	}
	again, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Errorf("the first listener is still open: %v", err)
	} else {
		_ = again.Close()
	}
	if _, err = New(Config{TLSCert: "/nonexistent", TLSKey: "/nonexistent"}, handlerFunc(nil), slog.New(slog.DiscardHandler)); err == nil ||
		!strings.HasPrefix(err.Error(), "sip.tls_cert: open /nonexistent") {
		t.Errorf("error %v", err)
	}
	if _, err = New(Config{Listen: []string{"quic:x"}}, handlerFunc(nil), slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "sip.listen[0]: ") {
		t.Errorf("error %v", err)
	}
}
