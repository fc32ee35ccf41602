package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"sipsmpp/mi"
)

// Trace shows the PDUs of a connection or account as they come, over a connection of its own, until the time or the number that
// the parameters give is reached, or ctx ends. lost is told at the end, by an error: PDUs that came too fast to be shown.
func (c *Client) Trace(ctx context.Context, params mi.SMPPTraceParams) iter.Seq2[mi.TracedPDU, error] {
	params.Live = true
	return trace[mi.TracedPDU](ctx, c, mi.SMPPTrace.Name, mi.TraceEvent, params)
}

// TraceSIP does the same for the messages of a SIP peer or user.
func (c *Client) TraceSIP(ctx context.Context, params mi.SIPTraceParams) iter.Seq2[mi.TracedSIP, error] {
	params.Live = true
	return trace[mi.TracedSIP](ctx, c, mi.SIPTrace.Name, mi.SIPTraceEvent, params)
}

// trace calls a method that shows one T after the other in notifications called event.
func trace[T any](ctx context.Context, c *Client, method, event string, params any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := follow(ctx, c, method, event, params, func(v T) bool { return yield(v, nil) }); err != nil && ctx.Err() == nil {
			var none T
			yield(none, err)
		}
	}
}

func follow[T any](ctx context.Context, c *Client, method, event string, params any, yield func(T) bool) error {
	stream, err := c.link.dial(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })()
	defer func() { _ = stream.Close() }()
	if err := stream.WriteObject(request{"2.0", 1, method, params}); err != nil {
		return err
	}
	for {
		var object struct {
			Method string
			Params json.RawMessage
			Result *struct{ Lost uint64 }
			Error  *mi.Error
		}
		if err := stream.ReadObject(&object); err != nil {
			return err
		}
		switch {
		case object.Error != nil:
			return fmt.Errorf("%s: %w", method, object.Error)
		case object.Result != nil && object.Result.Lost > 0:
			return fmt.Errorf("%d came too fast to be shown", object.Result.Lost)
		case object.Result != nil:
			return nil
		case object.Method == event:
			var v T
			if err := json.Unmarshal(object.Params, &v); err != nil {
				return err
			}
			if !yield(v) {
				return nil
			}
		}
	}
}
