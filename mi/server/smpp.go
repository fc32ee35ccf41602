package server

import (
	"context"
	"errors"

	"sipsmpp/gateway"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

// coreErrors are the errors of the core that have a code of their own.
var coreErrors = []struct {
	err  error
	code int
}{
	{gateway.ErrUnknownConnection, mi.CodeNotFound},
	{gateway.ErrUnknownMessage, mi.CodeNotFound},
	{gateway.ErrUnknownAccount, mi.CodeNotFound},
	{gateway.ErrAccountExists, mi.CodeConflict},
	{gateway.ErrConnectionExists, mi.CodeConflict},
	{gateway.ErrUnknownRoute, mi.CodeNotFound},
	{gateway.ErrNotAwaiting, mi.CodeNotFound},
	{gateway.ErrKeyTaken, mi.CodeConflict},
	{gateway.ErrNotDeferred, mi.CodeConflict},
	{gateway.ErrBeingTried, mi.CodeConflict},
	{gateway.ErrTargetDown, mi.CodeNotNow},
}

func (s *Server) smppList(_ context.Context, p mi.SMPPListParams) (mi.SMPPListResult, error) {
	result := mi.SMPPListResult{Connections: []mi.Connection{}, Accounts: []mi.Account{}}
	for _, c := range s.core.Connections() {
		if p.Name == "" || p.Name == c.Name {
			result.Connections = append(result.Connections, connection(c, s.core.DeferredFor(sms.Connection(c.Name))))
		}
	}
	for _, a := range s.core.Accounts() {
		if p.Name == "" || p.Name == a.SystemID {
			result.Accounts = append(result.Accounts, account(a, s.core.DeferredFor(sms.Account(a.SystemID))))
		}
	}
	if p.Name != "" && len(result.Connections)+len(result.Accounts) == 0 {
		return result, coreError(gateway.ErrUnknownConnection)
	}
	return result, nil
}

func connection(c smpp.ConnectionStatus, deferred int) mi.Connection {
	var sessionType string
	if c.SessionType != 0 { // else its row is bad
		sessionType = c.SessionType.String()
	}
	return mi.Connection{
		Name:           c.Name,
		Peer:           c.Peer,
		SessionType:    sessionType,
		Enabled:        c.Enabled,
		State:          string(c.State),
		Fault:          c.Fault,
		Binds:          binds(c.Binds),
		Queued:         c.Queued,
		Deferred:       deferred,
		ThrottledUntil: mi.Time(c.ThrottledUntil),
		ThrottledTo:    c.ThrottledTo,
		Counters:       mi.Counters(c.Counters),
	}
}

func binds(list []smpp.BindStatus) []mi.Bind {
	result := make([]mi.Bind, len(list))
	for i, b := range list {
		result[i] = mi.Bind{
			ID:        b.ID,
			Mode:      b.Mode,
			State:     string(b.State),
			Since:     mi.Time(b.Since),
			Remote:    b.Remote,
			Local:     b.Local,
			Window:    b.Window,
			InFlight:  b.InFlight,
			LastError: b.LastError,
			RetryAt:   mi.Time(b.RetryAt),
		}
	}
	return result
}

func (s *Server) smppReload(ctx context.Context, _ mi.None) (mi.SMPPReloadResult, error) {
	return reloaded(s.core.Reload(ctx))
}

func (s *Server) smppAdd(ctx context.Context, p mi.SMPPAddParams) (mi.SMPPReloadResult, error) {
	return reloaded(s.core.AddConnection(ctx, p.Columns()))
}

func (s *Server) smppSet(ctx context.Context, p mi.SMPPSetParams) (mi.SMPPReloadResult, error) {
	values := p.Columns()
	delete(values, "name")
	if len(values) == 0 {
		return mi.SMPPReloadResult{}, badValue("name", "nothing is to be changed: "+mi.SMPPSet.Usage())
	}
	return reloaded(s.core.SetConnection(ctx, string(p.Name), values))
}

func (s *Server) smppDelete(ctx context.Context, p mi.NameParams) (mi.SMPPReloadResult, error) {
	return reloaded(s.core.DeleteConnection(ctx, p.Name))
}

// reloaded tells what a change of table smpp did.
func reloaded(changes smpp.Changes, err error) (mi.SMPPReloadResult, error) {
	if bad := new(gateway.FaultsError); errors.As(err, &bad) {
		return mi.SMPPReloadResult{}, mi.NewError(mi.CodeBadValue, "table smpp has bad rows, and nothing was changed", faults(bad))
	}
	if err != nil {
		return mi.SMPPReloadResult{}, coreError(err)
	}
	return asChanges(changes), nil
}
