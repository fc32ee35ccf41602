package main

import (
	"context"
	"time"

	"sipsmpp/gateway"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// What the fake core tells of itself: acme is bound, and one SIP next hop is down.

func (c *fakeCore) Connections() []smpp.ConnectionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []smpp.ConnectionStatus{{
		Name: "acme", Peer: "10.0.0.1:2775", SessionType: sms.Transceiver, Enabled: true, State: smpp.ConnectionBound,
		Binds: []smpp.BindStatus{{
			ID: "acme#1", Owner: sms.Connection("acme"), Mode: "transceiver", State: smpp.BindBound, Remote: "10.0.0.1:2775", Window: 10, InFlight: 2,
		}},
		Counters: smpp.Counters{Sent: c.sentSegments},
	}}
}

func (c *fakeCore) Accounts() []smpp.AccountStatus {
	return []smpp.AccountStatus{{SystemID: "shop", Enabled: true}}
}

func (c *fakeCore) AccountRows() []sms.AccountConfig { return []sms.AccountConfig{{SystemID: "shop"}} }

func (c *fakeCore) AddAccount(context.Context, gateway.AccountChange) error { return nil }

func (c *fakeCore) Statistics() []gateway.Statistic {
	return []gateway.Statistic{{Group: "core", Name: "uptime", Value: 3700}, {Group: "event", Name: "seq", Value: c.hub.Seq()}, {Group: "db", Name: "up", Value: 1}}
}

func (c *fakeCore) Started() time.Time { return time.Now().Add(-3700 * time.Second) }

func (c *fakeCore) Messages(context.Context, store.Filter) ([]*store.Record, sms.ID, error) {
	return []*store.Record{{Message: &sms.Message{ID: sms.ID{1}, Text: "a \x1b[31mred text"}, State: store.RecordSent}}, sms.ID{}, nil
}

func (c *fakeCore) TLVs(sms.Leg, []sms.TLV) map[string][]byte { return nil }

func (c *fakeCore) DeferredFor(sms.Leg) int { return 0 }

func (c *fakeCore) DiffTables(context.Context) []gateway.TableChanges { return nil }

func (c *fakeCore) SIPAddrs() []string { return nil }

func (c *fakeCore) SIPStats() sip.Stats { return sip.Stats{} }

func (c *fakeCore) SIPNextHops() []sip.NextHop {
	return []sip.NextHop{{URI: "sip:a", State: "down", Reason: "nobody listens there"}}
}
