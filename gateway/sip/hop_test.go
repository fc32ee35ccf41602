package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"
)

// names answers look-ups.
type names map[string][]string

func (n names) lookup(_ context.Context, _, host string) (ips []netip.Addr, err error) {
	for _, ip := range n[host] {
		ips = append(ips, netip.MustParseAddr(ip))
	}
	if ips == nil {
		err = errors.New("no such host")
	}
	return ips, err
}

func TestLocate(t *testing.T) {
	known := names{"a.example": {"192.0.2.1", "192.0.2.2"}, "b.example": {"2001:db8::1"}, "example.com": {"192.0.2.9"}, "plain": {"192.0.2.8"}}
	srv := map[string][]*net.SRV{
		"_sip._udp.example.com":  {{Target: "a.example.", Port: 5070}, {Target: "gone.example.", Port: 5071}, {Target: "b.example.", Port: 5072}},
		"_sips._tcp.example.com": {{Target: "a.example.", Port: 5061}},
		"_sip._tcp.example.com":  {{Target: "."}},
	}
	e := newEndpoint(Config{}, handlerFunc(nil), nil)
	e.lookup = known.lookup
	e.lookupSRV = func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
		if list := srv["_"+service+"._"+proto+"."+name]; list != nil {
			return "", list, nil
		}
		return "", nil, errors.New("no such name")
	}
	for uri, want := range map[string][]string{
		"sip:192.0.2.7":                       {"192.0.2.7:5060"},
		"sip:192.0.2.7;transport=tls":         {"192.0.2.7:5061"},
		"sip:plain":                           {"192.0.2.8:5060"},
		"sip:a.example:5080":                  {"192.0.2.1:5080", "192.0.2.2:5080"},
		"sip:example.com":                     {"192.0.2.1:5070", "192.0.2.2:5070", "[2001:db8::1]:5072"},
		"sip:example.com:5060":                {"192.0.2.9:5060"},
		"sip:example.com;transport=tls":       {"192.0.2.1:5061", "192.0.2.2:5061"},
		"sip:example.com;transport=tcp":       nil, // its SRV record says that there is none
		"sip:example.com;transport=ws":        {"192.0.2.9:80"},
		"sip:nowhere.example;transport=tcp":   nil,
		"sip:plain;transport=wss":             {"192.0.2.8:443"},
		"sip:[2001:db8::2]:5090;transport=ws": {"[2001:db8::2]:5090"},
	} {
		h, err := parseHop(uri)
		if err != nil {
			t.Fatal(err)
		}
		addrs, _, _ := e.locate(t.Context(), h)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", uri, got, want)
		}
	}
}

// Of several addresses of one next hop, one that is dead is passed over, and tried last from then on.
func TestSeveralAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, "sip:proxy:5060")
		c.lookup = names{"proxy": {"192.0.2.1", "192.0.2.2"}}.lookup
		quote := func(request sentAt) { c.unreachable([]byte(request.b)) }
		c.text("hello")
		first := c.take()
		if len(first) != 1 || first[0].to.String() != "192.0.2.1:5060" {
			t.Fatalf("%v", first)
		}
		quote(first[0])
		for range 2 {
			synctest.Wait()
			sent := c.take()
			if len(sent) != 1 || sent[0].to.String() != "192.0.2.2:5060" {
				t.Fatalf("%v", sent)
			}
			c.reply(sent[0], 200)
			if o := c.outcome(t); o.Fate != sms.Accepted {
				t.Errorf("%+v", o)
			}
			c.outcomes = nil
			c.text("hello again")
		}
		if len(c.hopEvents) > 0 {
			t.Errorf("%v, though one of its addresses answers", c.hopEvents)
		}
		quote(c.take()[0])
		synctest.Wait()
		quote(c.take()[0])
		if o := c.outcome(t); o.Fate != sms.NotSent || !reflect.DeepEqual(c.hopEvents, []string{"down sip:proxy:5060"}) {
			t.Errorf("%+v, %v", o, c.hopEvents)
		}
	})
}

func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClientWith(t, Config{OutboundURI: []string{"sip:gw:secret@192.0.2.10", "sip:192.0.2.11"}, Domain: "example.com", ProbeInterval: time.Minute})
		synctest.Wait()
		answerAll := func(code int, but string) {
			t.Helper()
			synctest.Wait()
			for _, p := range c.take() {
				var m message
				if !m.scan([]byte(p.b)) || m.fault != "" || string(m.method) != "OPTIONS" || strings.Contains(p.b, "secret") {
					t.Errorf("%s", p.b)
				}
				if p.to.String() != but {
					c.reply(p, code)
				}
			}
			synctest.Wait()
		}
		answerAll(200, "")
		time.Sleep(time.Minute)
		answerAll(501, "192.0.2.10:5060") // whatever it says, it is there
		time.Sleep(10 * time.Second)
		answerAll(200, "192.0.2.10:5060") // the retransmissions
		hops := c.NextHops()
		if !reflect.DeepEqual(c.hopEvents, []string{"down sip:192.0.2.10"}) || hops[0].State != "down" || hops[0].Reason == "" ||
			hops[0].Since.IsZero() || hops[1].State != "up" || hops[1].Heard.IsZero() || !reflect.DeepEqual(hops[1].Addresses, []string{"192.0.2.11:5060"}) {
			t.Errorf("%v %+v", c.hopEvents, hops)
		}
		// As long as it is down the other one gets the messages, however long that takes.
		time.Sleep(suspectTime)
		c.take()
		c.text("hello")
		sent := c.take()
		if len(sent) != 1 || sent[0].to.String() != "192.0.2.11:5060" {
			t.Fatalf("%v", sent)
		}
		c.reply(sent[0], 200)
		synctest.Wait()
		time.Sleep(20 * time.Second)
		answerAll(200, "")
		if !reflect.DeepEqual(c.hopEvents, []string{"down sip:192.0.2.10", "up sip:192.0.2.10"}) || c.NextHops()[0].State != "up" {
			t.Errorf("%v %+v", c.hopEvents, c.NextHops())
		}
		if s := c.Stats(); s.Accepted != 1 || s.Failed != 0 || s.InFlight != 0 {
			t.Errorf("probes are counted as messages: %+v", s)
		}
	})
}
