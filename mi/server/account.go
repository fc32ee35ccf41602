package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sipsmpp/gateway"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/store"
	"sipsmpp/mi"
)

func (s *Server) accountAdd(ctx context.Context, p mi.AccountAddParams) (string, error) {
	return done(s.core.AddAccount(ctx, gateway.AccountChange{
		SystemID: p.SystemID, Password: &p.Password, AllowedIPs: p.AllowedIPs, BindModes: p.BindModes, MaxBinds: p.MaxBinds,
		Window: p.Window, Throughput: p.Throughput, Enabled: p.Enabled, Options: text(p.Options),
	}))
}

func (s *Server) accountSet(ctx context.Context, p mi.AccountSetParams) (string, error) {
	return done(s.core.SetAccount(ctx, gateway.AccountChange{
		SystemID: p.SystemID, Password: p.Password, AllowedIPs: p.AllowedIPs, BindModes: p.BindModes, MaxBinds: p.MaxBinds,
		Window: p.Window, Throughput: p.Throughput, Enabled: p.Enabled, Options: text(p.Options),
	}))
}

// text is the JSON that was given, if any was.
func text(raw json.RawMessage) *string {
	if raw == nil {
		return nil
	}
	s := string(raw)
	return &s
}

func (s *Server) accountDelete(ctx context.Context, p mi.AccountParams) (string, error) {
	return done(s.core.DeleteAccount(ctx, p.SystemID))
}

// done is the result of a change of an account.
func done(err error) (string, error) {
	if bad := new(gateway.FaultsError); errors.As(err, &bad) {
		return "", mi.NewError(mi.CodeBadValue, "Bad value: "+bad.Error(), faults(bad))
	}
	if err != nil {
		return "", coreError(err)
	}
	return mi.OK, nil
}

func faults(bad *gateway.FaultsError) []mi.Fault {
	list := make([]mi.Fault, len(bad.Faults))
	for i, f := range bad.Faults {
		list[i] = mi.Fault(f)
	}
	return list
}

func (s *Server) accountList(_ context.Context, p mi.AccountListParams) (mi.AccountListResult, error) {
	result := mi.AccountListResult{Accounts: []mi.AccountRow{}}
	binds := make(map[string]int)
	for _, a := range s.core.Accounts() {
		binds[a.SystemID] = len(a.Binds)
	}
	for _, a := range s.core.AccountRows() {
		if p.SystemID != "" && p.SystemID != a.SystemID {
			continue
		}
		options := store.AccountOptions(a)
		if options == "" {
			options = "{}"
		}
		result.Accounts = append(result.Accounts, mi.AccountRow{
			SystemID: a.SystemID, AllowedIPs: strings.Fields(a.AllowedIPs),
			BindModes: strings.Split(store.FormatBindModes(a.BindModes), ","), MaxBinds: a.MaxBinds, Window: a.Window,
			Throughput: a.Throughput, Enabled: a.Enabled, Options: json.RawMessage(options), Binds: binds[a.SystemID],
		})
	}
	if p.SystemID != "" && len(result.Accounts) == 0 {
		return result, coreError(fmt.Errorf("%w: %s", gateway.ErrUnknownAccount, p.SystemID))
	}
	return result, nil
}

func (s *Server) accountReload(ctx context.Context, _ mi.None) (mi.SMPPReloadResult, error) {
	changes, err := s.core.ReloadAccounts(ctx)
	if bad := new(gateway.FaultsError); errors.As(err, &bad) {
		return mi.SMPPReloadResult{}, mi.NewError(mi.CodeBadValue, "table smpp_account has bad rows, and nothing was changed", faults(bad))
	}
	if err != nil {
		return mi.SMPPReloadResult{}, err
	}
	return asChanges(changes), nil
}

// account is one as smpp_list shows it.
func account(a smpp.AccountStatus, deferred int) mi.Account {
	return mi.Account{
		SystemID: a.SystemID, Enabled: a.Enabled, Binds: binds(a.Binds), Queued: a.Queued, Deferred: deferred, Counters: mi.Counters(a.Counters),
	}
}
