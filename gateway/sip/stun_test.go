package sip

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
)

func unhexed(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeepAlive(t *testing.T) {
	const id = "2112a442 b7e7a701bc34d686fa87dfae" // the cookie, and the transaction of RFC 5769
	for _, test := range []struct {
		name, datagram, from string
		response             string
		is                   bool
	}{
		// The addresses and their coding are those of RFC 5769, 2.2 and 2.3.
		{"IPv4", "0001 0000" + id, "192.0.2.1:32853", "0101 000c" + id + "0020 0008 0001 a147 e112a643", true},
		{"IPv6", "0001 0000" + id, "[2001:db8:1234:5678:11:2233:4455:6677]:32853", "0101 0018" + id + "0020 0014 0002 a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9", true},
		{"with SOFTWARE", "0001 0008" + id + "8022 0003 61626300", "192.0.2.1:32853", "0101 000c" + id + "0020 0008 0001 a147 e112a643", true},
		{"with credentials", "0001 0008" + id + "0006 0003 61626300", "192.0.2.1:1", "", true},
		{"an attribute that is cut", "0001 0004" + id + "8022 0009", "192.0.2.1:1", "", true},
		{"a length that is wrong", "0001 0004" + id, "192.0.2.1:1", "", false},
		{"another cookie", "0001 0000 2112a443 b7e7a701bc34d686fa87dfae", "192.0.2.1:1", "", false},
		{"a response", "0101 0000" + id, "192.0.2.1:1", "", false},
		{"two line ends", "0d0a0d0a", "192.0.2.1:1", "", true},
		{"zeros", "00000000", "192.0.2.1:1", "", true},
		{"nothing", "", "192.0.2.1:1", "", true},
		{"text", "6869", "192.0.2.1:1", "", false},
	} {
		got, is := keepAlive(nil, unhexed(t, test.datagram), netip.MustParseAddrPort(test.from))
		if is != test.is || hex.EncodeToString(got) != strings.ReplaceAll(test.response, " ", "") {
			t.Errorf("%s: %x, %v, want %s, %v", test.name, got, is, test.response, test.is)
		}
	}
}

// TestKeepAliveByUDP: it is answered from the socket that it came to, where users register, and nowhere counts as no SIP.
func TestKeepAliveByUDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		request := string(unhexed(t, "0001 0000 2112a442 b7e7a701bc34d686fa87dfae"))
		for _, registrar := range []bool{true, false} {
			c := newClientWith(t, Config{OutboundURI: []string{hopA}, Registrar: registrar})
			for _, b := range []string{request, "\r\n\r\n"} {
				c.in <- sentAt{b: b, to: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7).To4(), Port: 5071}}
			}
			synctest.Wait()
			sent := c.take()
			if registrar != (len(sent) == 1) || registrar && (sent[0].to.Port != 5071 || !strings.HasPrefix(sent[0].b, "\x01\x01")) {
				t.Errorf("registrar %v: %v", registrar, sent)
			}
			if n := c.Stats().Malformed; registrar && n != 0 {
				t.Errorf("%d malformed", n)
			}
		}
	})
}

func FuzzKeepAlive(f *testing.F) {
	f.Add(unhexed(f, "0001 0008 2112a442 b7e7a701bc34d686fa87dfae 8022 0003 61626300"), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
			if response, is := keepAlive(nil, b, netip.AddrPortFrom(netip.MustParseAddr(ip), port)); len(response) > 44 || len(response) > 0 && !is {
				t.Fatalf("%x", response)
			}
		}
	})
}
