package server

import (
	"context"
	"math"
	"time"
	"unicode/utf8"

	"sipsmpp/gateway"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
	"sipsmpp/mi"
)

// messageSend hands a message to the core and answers with what became of it.
func (s *Server) messageSend(ctx context.Context, p mi.MessageSendParams, reply func(mi.MessageSendResult, error)) {
	m, fault := s.message(p)
	if fault == nil {
		fault = callerOf(ctx).limit(m)
	}
	if fault != nil {
		reply(mi.MessageSendResult{}, fault)
		return
	}
	if m.IdempotencyKey != "" {
		s.core.AcceptOnce(m, func(o gateway.Once) { reply(sentOnce(o)) })
		return
	}
	s.core.Accept(m, func(o sms.Outcome) { reply(sent(m.ID, o)) })
}

// sent is the answer to a message_send.
func sent(id sms.ID, o sms.Outcome) (mi.MessageSendResult, error) {
	switch {
	case o.Deferred:
		return mi.MessageSendResult{ID: id.String(), State: string(store.RecordDeferred), Reason: o.Reason()}, nil
	case o.Fate != sms.Accepted:
		return mi.MessageSendResult{}, sendError(id, o)
	}
	result := mi.MessageSendResult{
		ID:       id.String(),
		State:    string(store.RecordSent),
		Segments: o.Segments,
		Coding:   o.Alphabet.String(),
		SMSCIDs:  o.SMSCIDs,
	}
	if o.Egress.Kind == sms.LegConnection {
		result.Connection = o.Egress.Name
	}
	return result, nil
}

// sentOnce is the answer to one with an idempotency_key: what became of the message that came first.
func sentOnce(o gateway.Once) (mi.MessageSendResult, error) {
	switch {
	case o.Err != nil:
		return mi.MessageSendResult{}, coreError(o.Err)
	case o.Record == nil:
		return sent(o.ID, o.Outcome)
	}
	r := o.Record
	result := mi.MessageSendResult{
		ID: o.ID.String(), State: string(r.State), Segments: len(r.Segments), Coding: r.Message.Alphabet.String(),
	}
	if r.Deferral != nil {
		result.Reason = r.Deferral.Reason
	}
	for _, segment := range r.Segments {
		result.SMSCIDs = append(result.SMSCIDs, segment.SMSCID)
	}
	if r.Egress.Kind == sms.LegConnection {
		result.Connection = r.Egress.Name
	}
	return result, nil
}

// message makes the parameters a message of the core.
func (s *Server) message(p mi.MessageSendParams) (*sms.Message, *mi.Error) {
	m, fault := plainMessage(p)
	if fault == nil && len(p.TLVs) > 0 {
		var err error
		if m.TLVs, err = s.core.ParseTLVs(p.Connection, p.TLVs); err != nil {
			return nil, badValue("tlvs", err.Error())
		}
	}
	return m, fault
}

// plainMessage is message without the optional parameters.
func plainMessage(p mi.MessageSendParams) (*sms.Message, *mi.Error) {
	now := time.Now()
	m := &sms.Message{
		Ref:         p.Ref,
		Ingress:     sms.MI,
		From:        sms.ParseAddress(p.From),
		To:          sms.ParseAddress(p.To),
		Text:        p.Text,
		Data:        p.Data,
		UDH:         p.UDH,
		ServiceType: p.ServiceType,
		ProtocolID:  p.ProtocolID,
		Priority:    p.Priority,
		Received:    now,
		Connection:  p.Connection,

		IdempotencyKey: p.IdempotencyKey,
		NoDefer:        p.Defer != nil && !*p.Defer,
	}
	switch {
	case utf8.RuneCountInString(p.IdempotencyKey) > 255:
		return nil, badValue("idempotency_key", "longer than 255 characters")
	case m.To.IsZero():
		return nil, badValue("to", "empty")
	case p.Text != "" && p.Data != nil:
		return nil, badValue("data", "a message has text or data, not both")
	case p.Text == "" && p.Data == nil:
		return nil, badValue("text", "a message has text or data")
	}
	if p.DataCoding != nil {
		m.DataCoding, m.HasDataCoding = *p.DataCoding, true
	}
	if p.Data != nil {
		m.Alphabet = sms.AlphabetBinary
	} else if p.Coding != "" {
		alphabet, ok := sms.ParseAlphabet(p.Coding)
		if !ok || alphabet == sms.AlphabetBinary || alphabet == sms.AlphabetOther {
			return nil, badValue("coding", "want auto, gsm7, latin1, ascii or ucs2")
		}
		m.Alphabet = alphabet
	}
	if p.Class != nil {
		if *p.Class > 3 {
			return nil, badValue("class", "want a message class from 0 (flash) to 3")
		}
		m.Class = sms.Class0 + sms.Class(*p.Class)
	}
	if p.Receipt != "" {
		m.Receipt, _ = sms.ParseReceiptRequest(string(p.Receipt)) // its values are those of the contract
	}
	if p.Validity > 0 {
		m.Expires = now.Add(time.Duration(p.Validity) * time.Second)
	}
	if len(p.UDH) > math.MaxUint8 {
		return nil, badValue("udh", "longer than a header can be")
	}
	return m, nil
}

// sendError is the error of a message that no next hop accepted: its code says whether to try again.
func sendError(id sms.ID, o sms.Outcome) *mi.Error {
	return mi.NewError(sendCode(o), "the message was not accepted: "+o.Reason(), mi.SendFailure{
		ID:       id.String(),
		Fate:     o.Fate.String(),
		Reason:   o.Reason(),
		Protocol: o.Protocol.String(),
		Status:   o.Status,
	})
}

func sendCode(o sms.Outcome) int {
	switch o.Cause {
	case sms.CauseNoRoute:
		return mi.CodeNotFound
	case sms.CauseNotReady, sms.CauseQueueFull, sms.CauseNoAnswer, sms.CauseStore:
		return mi.CodeNotNow
	case sms.CauseUnencodable, sms.CauseExpired:
		return mi.CodeBadValue
	case sms.CauseShutdown:
		return mi.CodeShuttingDown
	case sms.CauseLoop:
		return mi.CodeConflict
	case sms.CauseRefused:
		switch o.Severity {
		case sms.Throttled:
			return mi.CodeThrottled
		case sms.Temporary:
			return mi.CodeNotNow
		case sms.Permanent:
			return mi.CodeForbidden
		}
	}
	return mi.CodeFailed
}

func (s *Server) messageShow(ctx context.Context, p mi.MessageShowParams) (mi.Message, error) {
	id, err := sms.ParseID(p.ID)
	if err != nil {
		return mi.Message{}, badValue("id", err.Error())
	}
	r, err := s.core.Message(ctx, id)
	if err == nil && !callerOf(ctx).sees(r.Message) {
		err = gateway.ErrUnknownMessage
	}
	if err != nil {
		return mi.Message{}, coreError(err)
	}
	return s.recorded(r), nil
}

// recordStates are the values of `state` in message_list.
var recordStates = map[string]bool{
	"":                           true,
	string(store.RecordDeferred): true,
	string(store.RecordSent):     true,
	string(store.RecordReported): true,
	string(store.RecordDone):     true,
	string(store.RecordFailed):   true,
}

func (s *Server) messageList(ctx context.Context, p mi.MessageListParams) (mi.MessageListResult, error) {
	result := mi.MessageListResult{Messages: []mi.Message{}}
	if !recordStates[p.State] {
		return result, badValue("state", "want deferred, sent, reported, done or failed")
	}
	if p.Limit < 0 || p.Limit > 1000 {
		return result, badValue("limit", "want 1 to 1000")
	}
	filter := store.Filter{
		State:      store.RecordState(p.State),
		Connection: p.Connection,
		From:       p.From,
		To:         p.To,
		Since:      time.Time(p.Since),
		Limit:      p.Limit,
	}
	if p.Before != "" {
		var err error
		if filter.Before, err = sms.ParseID(p.Before); err != nil {
			return result, badValue("before", err.Error())
		}
	}
	records, next, err := s.core.Messages(ctx, filter)
	if err != nil {
		return result, err
	}
	for _, r := range records {
		result.Messages = append(result.Messages, s.recorded(r))
	}
	if !next.IsZero() {
		result.Next = next.String()
	}
	return result, nil
}

// recorded is a record as the MI tells it.
func (s *Server) recorded(r *store.Record) mi.Message {
	m := r.Message
	result := mi.Message{
		ID:       m.ID.String(),
		Ref:      m.Ref,
		State:    string(r.State),
		Ingress:  m.Ingress.String(),
		Egress:   r.Egress.String(),
		From:     m.From.String(),
		To:       m.To.String(),
		Text:     m.Text,
		Coding:   m.Alphabet.String(),
		Received: mi.Time(m.Received),
		Expires:  mi.Time(m.Expires),
		Receipt:  mi.Receipt(m.Receipt.String()),
		Node:     r.Node,
		Rule:     r.Rule,
		Attempts: r.Attempts,
		Updated:  mi.Time(r.Updated),
		Segments: make([]mi.Segment, len(r.Segments)),
	}
	switch r.State {
	case store.RecordSent:
		result.ReportDue = mi.Time(r.NextAttempt)
	case store.RecordDeferred:
		result.Next = mi.Time(r.NextAttempt)
	}
	if m.IsBinary() {
		result.Text, result.Data = "", m.Data
	}
	for _, f := range r.Failed {
		result.FailedAttempts = append(result.FailedAttempts, mi.FailedAttempt{
			Attempt: f.Attempt, Time: mi.Time(f.Ended), Egress: f.Egress, Reason: f.Reason,
		})
	}
	if d := r.Deferral; d != nil {
		result.Deferral = &mi.Deferral{
			Target: d.Target, Waiting: waiting[d.Waiting], Reason: d.Reason, GiveUp: mi.Time(d.GiveUp), UnknownFates: d.Unknown,
		}
	}
	if r.Egress.Kind == sms.LegConnection {
		result.Connection = r.Egress.Name
	}
	namer := m.Ingress
	if namer.Kind != sms.LegConnection { // who gave them the names of where they were to go
		namer = r.Egress
	}
	for name, value := range s.core.TLVs(namer, m.TLVs) {
		if result.TLVs == nil {
			result.TLVs = make(map[string]mi.Hex)
		}
		result.TLVs[name] = value
	}
	for i, segment := range r.Segments {
		result.Segments[i] = mi.Segment{
			Segment:  segment.Part,
			SMSCID:   segment.SMSCID,
			State:    segment.State.String(),
			Error:    segment.Error,
			DoneTime: mi.Time(segment.DoneTime),
		}
	}
	if r.Report != sms.StateNone {
		result.Report = &mi.Report{State: r.Report.String(), Error: r.ReportError, DoneTime: mi.Time(r.DoneTime)}
	}
	return result
}

// waiting is what the MI calls what a deferred message waits for.
var waiting = map[store.Waiting]string{store.WaitingTime: "time", store.WaitingBehind: "behind", store.WaitingOperator: "retry"}

func (s *Server) messageRetry(ctx context.Context, p mi.MessageShowParams) (string, error) {
	return s.toMessage(ctx, p, s.core.RetryMessage)
}

func (s *Server) messageCancel(ctx context.Context, p mi.MessageShowParams) (string, error) {
	return s.toMessage(ctx, p, s.core.CancelMessage)
}

// toMessage does something to a message that the caller may see.
func (s *Server) toMessage(ctx context.Context, p mi.MessageShowParams, do func(context.Context, sms.ID) error) (string, error) {
	shown, err := s.messageShow(ctx, p)
	if err != nil {
		return "", err
	}
	id, err := sms.ParseID(shown.ID)
	if err == nil {
		err = do(ctx, id)
	}
	if err != nil {
		return "", coreError(err)
	}
	return mi.OK, nil
}
