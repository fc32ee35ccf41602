package main

import (
	"context"
	"fmt"

	"sipsmpp/gateway/gatewaytest"
)

// viaAccount binds to the gateway as an ESME and sends submit_sm; the SMSC counts.
type viaAccount struct {
	*flow
	esme *gatewaytest.ESME
}

func (a *viaAccount) listen() (string, error) { return "", nil }

func (a *viaAccount) connect(ctx context.Context) (err error) {
	a.esme, err = gatewaytest.NewESME(ctx, gatewaytest.ESMEConfig{
		Addr: a.smpp, SystemID: a.systemID, Password: a.password, Window: a.peerWindow(), AnswerTimeout: a.timeout, Keep: -1,
	})
	if err != nil {
		return fmt.Errorf("account %s at %s: %w", a.systemID, a.smpp, err)
	}
	return nil
}

func (a *viaAccount) send(ctx context.Context) error {
	return a.sendAll(ctx, func(n int, e *entry) error {
		o := gatewaytest.Outgoing{From: a.from, To: a.to, Text: markText(a.name, n, a.length)}
		// Without the context of the run: what was begun is to end, or it would count as unanswered.
		return a.esme.Send(context.WithoutCancel(ctx), o, func(answer gatewaytest.Answer) {
			if answer.Err != nil {
				a.giveUp(e)
				return
			}
			a.settle(e, answer.Status, answer.Status == gatewaytest.StatusOK)
		})
	}, func() error { return nil })
}

func (a *viaAccount) stop() {
	if a.esme != nil {
		a.esme.Drop()
	}
}
