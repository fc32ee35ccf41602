package sip

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"sipsmpp/gateway/sms"
)

// maxOtherHops bounds the next hops beside those of sip.outbound_uri: they are remembered for as long as the endpoint lives.
const maxOtherHops = 10_000

// SendTo sends m to m.To as Send does, by the next hop that a route names in place of those of sip.outbound_uri.
func (e *Endpoint) SendTo(uri string, m *sms.Message, done func(sms.Outcome)) {
	h, err := e.otherHop(uri)
	if err != nil {
		o := sms.Failed(sms.Configuration, sms.CauseNoRoute, err.Error())
		o.Egress = sms.SIP
		done(o)
		return
	}
	e.admit(&outgoing{
		m: m, done: done, only: h, fromTag: rand.Uint64(), callID: [2]uint64{rand.Uint64(), rand.Uint64()},
		request: make([]byte, 0, usualHead+len(m.Text)),
	})
}

// CheckURI says what is wrong with a next hop for SendTo.
func (e *Endpoint) CheckURI(uri string) error {
	_, err := e.parseOther(uri)
	return err
}

func (e *Endpoint) parseOther(uri string) (*hop, error) {
	h, err := parseHop(uri)
	if err == nil && h.transport == byUDP && len(e.sockets) == 0 {
		err = fmt.Errorf("%q goes by udp, and sip.listen has no udp: listener to send from; add one, or ;transport=tcp here", uri)
	}
	return h, err
}

// otherHop finds a next hop that is not in the configuration, or makes it: how it is doing is remembered from one message to the
// next.
func (e *Endpoint) otherHop(uri string) (*hop, error) {
	if h, ok := e.otherHops.Load(uri); ok {
		return h.(*hop), nil
	}
	h, err := e.parseOther(uri)
	if err != nil {
		return nil, err
	}
	if e.otherHopCount.Add(1) > maxOtherHops {
		e.otherHopCount.Add(-1)
		return nil, errors.New("routes name too many next hops: send them by a proxy of sip.outbound_uri")
	}
	stored, known := e.otherHops.LoadOrStore(uri, h)
	if known {
		e.otherHopCount.Add(-1)
	}
	return stored.(*hop), nil
}

// Ready says that a next hop may take messages: that of a URI, or where it is empty one of sip.outbound_uri, or users who register.
// One is known not to where it is probed and does not answer.
func (e *Endpoint) Ready(uri string) bool {
	if uri != "" || e.registrar != nil {
		return true // it is not probed, and users come and go
	}
	for _, h := range e.hops {
		if !h.probed || !h.down.Load() {
			return true
		}
	}
	return len(e.hops) == 0
}
