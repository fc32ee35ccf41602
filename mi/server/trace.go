package server

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"sipsmpp/gateway"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

const (
	// maxTraces bounds the traces at one time.
	maxTraces = 16
	// traceBuffer bounds the PDUs that wait to be shown.
	traceBuffer = 512
)

// smppTrace shows the PDUs of a connection or account as they come or, where nothing can be sent to who asks, at the end.
func (s *Server) smppTrace(ctx context.Context, p mi.SMPPTraceParams) (mi.SMPPTraceResult, error) {
	result := mi.SMPPTraceResult{PDUs: []mi.TracedPDU{}}
	peer, connected := peerOf(ctx)
	mostSeconds, mostCount := uint32(30), uint32(1000)
	if p.Live {
		mostSeconds, mostCount = 3600, 10_000
	}
	if p.Seconds == 0 {
		p.Seconds = 10
	}
	if p.Count == 0 {
		p.Count = 100
	}
	switch {
	case p.Live && !connected:
		return result, badValue("live", "only a WebSocket or the Unix socket can be sent what comes: leave it out, and the result has it")
	case p.Seconds > mostSeconds:
		return result, badValue("seconds", "want 1 to 30, or with live to 3600")
	case p.Count > mostCount:
		return result, badValue("count", "want 1 to 1000, or with live to 10000")
	case s.traces.Add(1) > maxTraces:
		s.traces.Add(-1)
		return result, mi.NewError(mi.CodeThrottled, "too many traces at a time", nil)
	}
	defer s.traces.Add(-1)

	came := make(chan smpp.TracedPDU, traceBuffer)
	var lost atomic.Uint64
	leg, dissector, stop, err := s.core.Trace(p.Name, func(pdu smpp.TracedPDU) {
		select {
		case came <- pdu:
		default:
			lost.Add(1)
		}
	})
	if errors.Is(err, gateway.ErrUnknownConnection) {
		return result, mi.NewError(mi.CodeNotFound, "no connection and no account is called "+p.Name, nil)
	}
	if err != nil {
		return result, err
	}
	defer stop()
	dissector.Text = p.Text
	end := time.NewTimer(time.Duration(p.Seconds) * time.Second)
	defer end.Stop()
	for range p.Count {
		select {
		case pdu := <-came:
			shown := tracedPDU(leg, dissector, pdu)
			if !p.Live {
				result.PDUs = append(result.PDUs, shown)
				continue
			}
			note, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": mi.TraceEvent, "params": shown})
			if err == nil {
				err = peer.link.Write(note)
			}
			if err != nil {
				return result, err
			}
			continue
		case <-end.C:
		case <-ctx.Done():
		}
		break
	}
	result.Lost = lost.Load()
	return result, nil
}

func tracedPDU(leg sms.Leg, d smpp.Dissector, pdu smpp.TracedPDU) mi.TracedPDU {
	shown := mi.TracedPDU{
		Time: mi.Time(pdu.Time), Connection: leg.Name, Peer: pdu.Peer, Direction: "received",
		Command: pdu.Header.Command.String(), Sequence: pdu.Header.Sequence,
	}
	if leg.Kind == sms.LegAccount {
		shown.Connection, shown.Account = "", leg.Name
	}
	if pdu.Sent {
		shown.Direction = "sent"
	}
	if pdu.Header.Command.IsResp() {
		shown.Status = pdu.Header.Status.String()
	}
	for _, f := range d.Fields(pdu) {
		shown.Fields = append(shown.Fields, mi.Member(f))
	}
	return shown
}
