package server

import (
	"context"
	"errors"

	"sipsmpp/gateway"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

// SIPCore is what the methods of the SIP side need of *gateway.Gateway.
type SIPCore interface {
	SIPAddrs() []string
	SIPNextHops() []sip.NextHop
	SIPStats() sip.Stats
	SIPUsers(ctx context.Context) ([]sms.SIPUser, error)
	AddSIPUser(ctx context.Context, name string, c gateway.SIPUserChange) error
	SetSIPUser(ctx context.Context, name string, c gateway.SIPUserChange) error
	DeleteSIPUser(ctx context.Context, name string) error
	ReloadSIPUsers(ctx context.Context) (int, error)
	TraceSIP(f sip.TraceFilter, sink func(sip.Traced)) (stop func())
	SIPRegistrar() bool
	SIPContacts(ctx context.Context, user string) ([]sms.Contact, error)
	DeleteSIPContacts(ctx context.Context, user, contact string) (int, error)
}

// registerSIP serves the methods of the SIP side.
func (s *Server) registerSIP(d *dispatcher) {
	serve(d, mi.SIPList, s.sipList)
	serveSlow(d, mi.SIPUserAdd, s.sipUserAdd)
	serveSlow(d, mi.SIPUserSet, s.sipUserSet)
	serveSlow(d, mi.SIPUserDelete, s.sipUserDelete)
	serveSlow(d, mi.SIPUserList, s.sipUserList)
	serveSlow(d, mi.SIPUserReload, s.sipUserReload)
	serveSlow(d, mi.SIPTrace, s.sipTrace)
	serveSlow(d, mi.SIPContacts, s.sipContacts)
	serveSlow(d, mi.SIPContactDelete, s.sipContactDelete)
}

func (s *Server) sipList(context.Context, mi.None) (mi.SIPListResult, error) {
	stats := s.core.SIPStats()
	r := mi.SIPListResult{
		Listeners: s.core.SIPAddrs(), NextHops: []mi.NextHop{},
		Connections: stats.Connections, InProgress: stats.InProgress, InFlight: stats.InFlight,
	}
	for _, h := range s.core.SIPNextHops() {
		r.NextHops = append(r.NextHops, mi.NextHop{
			URI: h.URI, State: h.State, Reason: h.Reason, Since: mi.Time(h.Since), Aside: mi.Time(h.Aside), Heard: mi.Time(h.Heard),
			Addresses: h.Addresses,
		})
	}
	return r, nil
}

func (s *Server) sipUserAdd(ctx context.Context, p mi.SIPUserAddParams) (string, error) {
	numbers := []string(p.Numbers)
	return sipDone(s.core.AddSIPUser(ctx, p.Username, gateway.SIPUserChange{Password: &p.Password, Numbers: &numbers, Enabled: p.Enabled}))
}

func (s *Server) sipUserSet(ctx context.Context, p mi.SIPUserSetParams) (string, error) {
	return sipDone(s.core.SetSIPUser(ctx, p.Username, gateway.SIPUserChange{Password: p.Password, Numbers: (*[]string)(p.Numbers), Enabled: p.Enabled}))
}

func (s *Server) sipUserDelete(ctx context.Context, p mi.SIPUserNameParams) (string, error) {
	return sipDone(s.core.DeleteSIPUser(ctx, p.Username))
}

func (s *Server) sipUserList(ctx context.Context, _ mi.None) (mi.SIPUserListResult, error) {
	users, err := s.core.SIPUsers(ctx)
	result := mi.SIPUserListResult{Users: make([]mi.SIPUser, len(users))}
	for i, u := range users {
		result.Users[i] = mi.SIPUser{Username: u.Name, Realm: u.Realm, Numbers: u.Numbers, Enabled: u.Enabled}
	}
	return result, err
}

func (s *Server) sipUserReload(ctx context.Context, _ mi.None) (mi.SIPUserReloadResult, error) {
	n, err := s.core.ReloadSIPUsers(ctx)
	if err != nil {
		return mi.SIPUserReloadResult{}, sipError(err)
	}
	return mi.SIPUserReloadResult{Users: n}, nil
}

// sipDone is the result of a method that has none of its own.
func sipDone(err error) (string, error) {
	if err != nil {
		return "", sipError(err)
	}
	return "OK", nil
}

func sipError(err error) error {
	bad := new(gateway.FaultsError)
	switch {
	case errors.Is(err, gateway.ErrUnknownSIPUser), errors.Is(err, gateway.ErrUnknownContact):
		return mi.NewError(mi.CodeNotFound, err.Error(), nil)
	case errors.Is(err, gateway.ErrSIPUserExists), errors.Is(err, gateway.ErrNoRegistrar):
		return mi.NewError(mi.CodeConflict, err.Error(), nil)
	case errors.As(err, &bad):
		return mi.NewError(mi.CodeBadValue, "a value is bad, and nothing was changed", faults(bad))
	}
	return err
}
