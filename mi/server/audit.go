package server

import (
	"context"
	"encoding/json"

	"sipsmpp/events"
	"sipsmpp/mi"
)

// maxShown bounds the parameters that the log and E_MI_CHANGED show.
const maxShown = 8 << 10

// audited tells of a call that changed something, once it did: in the log, and by E_MI_CHANGED.
func (s *Server) audited(ctx context.Context, d *mi.Declaration, params json.RawMessage, reply func(any, error)) func(any, error) {
	if !d.IsChange(params) {
		return reply
	}
	shown := d.Shown(params)
	if len(shown) > maxShown {
		shown = json.RawMessage(`"too long to be shown"`)
	}
	return func(result any, err error) {
		if err != nil {
			reply(result, err)
			return
		}
		s.options.Log.Info("changed by the MI", "who", who(ctx), "method", d.Name, "params", string(shown))
		s.core.Events().Publish(events.MIChanged{Who: who(ctx), Method: d.Name, Params: shown})
		s.whenKept(func() { reply(result, nil) })
	}
}
