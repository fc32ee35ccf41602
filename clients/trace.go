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
	return func(yield func(mi.TracedPDU, error) bool) {
		if err := c.trace(ctx, params, func(p mi.TracedPDU) bool { return yield(p, nil) }); err != nil && ctx.Err() == nil {
			yield(mi.TracedPDU{}, err)
		}
	}
}

func (c *Client) trace(ctx context.Context, params mi.SMPPTraceParams, yield func(mi.TracedPDU) bool) error {
	stream, err := c.link.dial(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })()
	defer func() { _ = stream.Close() }()
	params.Live = true
	if err := stream.WriteObject(request{"2.0", 1, mi.SMPPTrace.Name, params}); err != nil {
		return err
	}
	for {
		var object struct {
			Method string
			Params json.RawMessage
			Result *mi.SMPPTraceResult
			Error  *mi.Error
		}
		if err := stream.ReadObject(&object); err != nil {
			return err
		}
		switch {
		case object.Error != nil:
			return fmt.Errorf("%s: %w", mi.SMPPTrace.Name, object.Error)
		case object.Result != nil && object.Result.Lost > 0:
			return fmt.Errorf("%d PDUs came too fast to be shown", object.Result.Lost)
		case object.Result != nil:
			return nil
		case object.Method == mi.TraceEvent:
			var p mi.TracedPDU
			if err := json.Unmarshal(object.Params, &p); err != nil {
				return err
			}
			if !yield(p) {
				return nil
			}
		}
	}
}
