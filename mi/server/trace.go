package server

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"sipsmpp/gateway"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

const (
	// maxTraces bounds the traces at one time.
	maxTraces = 16
	// traceBuffer bounds what waits to be shown.
	traceBuffer = 512
)

// traceBounds say until when something is traced, and whether it is shown as it comes.
type traceBounds struct {
	seconds, count uint32
	live           bool
}

// trace shows what start gives to its sink as it comes or, where nothing can be sent to who asks, at the end. event is the method of
// the notifications; readable makes of a T what is shown.
func trace[T, S any](ctx context.Context, s *Server, b traceBounds, event string, start func(sink func(T)) (stop func(), err error),
	readable func(T) S) (shown []S, lost uint64, err error) {
	peer, connected := peerOf(ctx)
	shown = []S{}
	mostSeconds, mostCount := uint32(30), uint32(1000)
	if b.live {
		mostSeconds, mostCount = 3600, 10_000
	}
	if b.seconds == 0 {
		b.seconds = 10
	}
	if b.count == 0 {
		b.count = 100
	}
	switch {
	case b.live && !connected:
		return shown, 0, badValue("live", "only a WebSocket or the Unix socket can be sent what comes: leave it out, and the result has it")
	case b.seconds > mostSeconds:
		return shown, 0, badValue("seconds", "want 1 to 30, or with live to 3600")
	case b.count > mostCount:
		return shown, 0, badValue("count", "want 1 to 1000, or with live to 10000")
	case s.traces.Add(1) > maxTraces:
		s.traces.Add(-1)
		return shown, 0, mi.NewError(mi.CodeThrottled, "too many traces at a time", nil)
	}
	defer s.traces.Add(-1)

	came := make(chan T, traceBuffer)
	var missed atomic.Uint64
	stop, err := start(func(v T) {
		select {
		case came <- v:
		default:
			missed.Add(1)
		}
	})
	if err != nil {
		return shown, 0, err
	}
	defer stop()
	end := time.NewTimer(time.Duration(b.seconds) * time.Second)
	defer end.Stop()
	for range b.count {
		select {
		case v := <-came:
			if !b.live {
				shown = append(shown, readable(v))
				continue
			}
			note, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": event, "params": readable(v)})
			if err == nil {
				err = peer.link.Write(note)
			}
			if err != nil {
				return shown, 0, err
			}
			continue
		case <-end.C:
		case <-ctx.Done():
		}
		break
	}
	return shown, missed.Load(), nil
}

// direction is a message's as it is shown.
func direction(sent bool) string {
	if sent {
		return "sent"
	}
	return "received"
}

// smppTrace shows the PDUs of a connection or account.
func (s *Server) smppTrace(ctx context.Context, p mi.SMPPTraceParams) (result mi.SMPPTraceResult, err error) {
	var leg sms.Leg
	var dissector smpp.Dissector
	start := func(sink func(smpp.TracedPDU)) (stop func(), err error) {
		leg, dissector, stop, err = s.core.Trace(p.Name, sink)
		if errors.Is(err, gateway.ErrUnknownConnection) {
			return nil, mi.NewError(mi.CodeNotFound, "no connection and no account is called "+p.Name, nil)
		}
		dissector.Text = p.Text
		return stop, err
	}
	result.PDUs, result.Lost, err = trace(ctx, s, traceBounds{p.Seconds, p.Count, p.Live}, mi.TraceEvent, start,
		func(pdu smpp.TracedPDU) mi.TracedPDU { return tracedPDU(leg, dissector, pdu) })
	return result, err
}

func tracedPDU(leg sms.Leg, d smpp.Dissector, pdu smpp.TracedPDU) mi.TracedPDU {
	shown := mi.TracedPDU{
		Time: mi.Time(pdu.Time), Connection: leg.Name, Peer: pdu.Peer, Direction: direction(pdu.Sent),
		Command: pdu.Header.Command.String(), Sequence: pdu.Header.Sequence,
	}
	if leg.Kind == sms.LegAccount {
		shown.Connection, shown.Account = "", leg.Name
	}
	if pdu.Header.Command.IsResp() {
		shown.Status = pdu.Header.Status.String()
	}
	for _, f := range d.Fields(pdu) {
		shown.Fields = append(shown.Fields, mi.Member(f))
	}
	return shown
}

// sipTrace shows the messages of a SIP peer or user.
func (s *Server) sipTrace(ctx context.Context, p mi.SIPTraceParams) (result mi.SIPTraceResult, err error) {
	start := func(sink func(sip.Traced)) (stop func(), err error) {
		return s.core.TraceSIP(sip.TraceFilter{Peer: p.Peer, User: p.User}, sink), nil
	}
	result.Messages, result.Lost, err = trace(ctx, s, traceBounds{p.Seconds, p.Count, p.Live}, mi.SIPTraceEvent, start,
		func(m sip.Traced) mi.TracedSIP {
			r := m.Read(p.Text)
			return mi.TracedSIP{
				Time: mi.Time(m.Time), Peer: m.Peer, Direction: direction(m.Sent), StartLine: r.StartLine, Header: r.Header,
				Octets: r.Size, Body: r.Body,
			}
		})
	return result, err
}
