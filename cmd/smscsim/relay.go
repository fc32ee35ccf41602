package main

import (
	"context"

	"sipsmpp/gateway/gatewaytest"
)

// relay lets one SMSC send deliver_sm; another counts the submit_sm.
type relay struct {
	*flow
	smsc *gatewaytest.SMSC
}

func (r *relay) listen() (string, error)        { return "", nil }
func (r *relay) connect(context.Context) error  { return nil }
func (r *relay) send(ctx context.Context) error { return r.deliver(ctx, r.smsc) }
func (r *relay) stop()                          {}
