package gateway

import (
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
)

// Trace calls sink for every PDU of the connection with that name, or else of the account, until stop is called, and says how to
// read them. The sink must not block, nor call the gateway. ErrUnknownConnection if there is neither.
func (g *Gateway) Trace(name string, sink func(smpp.TracedPDU)) (leg sms.Leg, how smpp.Dissector, stop func(), err error) {
	stop, err = g.connections.Trace(name, sink)
	if err == nil {
		row := g.table.Load().rows[name]
		return sms.Connection(name), smpp.Dissector{Alphabet: row.Alphabet, TLVNames: row.TLVNames}, stop, nil
	}
	stop, ok := g.accounts.Trace(name, sink)
	if !ok {
		return sms.Leg{}, smpp.Dissector{}, nil, err
	}
	return sms.Account(name), smpp.Dissector{}, stop, nil
}
