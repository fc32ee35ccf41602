package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

// ReloadCore is what is read again of the core.
type ReloadCore interface {
	DiffTables(ctx context.Context) []gateway.TableChanges
	ReloadTables(ctx context.Context) []gateway.TableChanges
	SetDefaultConnection(name string)
}

// Reload reads everything again that counts without a restart, part by part: one with a fault stays as it is, whole. who is told of
// in the log and by E_RELOADED.
func (s *Server) Reload(ctx context.Context, who string) mi.ReloadResult {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	file, faults := s.reread()
	changes := s.diffConfig(file)
	if len(faults) == 0 && file != nil {
		if err := s.takeConfig(*file); err != nil {
			faults = append(faults, err...)
		}
	}
	if len(faults) > 0 {
		changes = nil // all of them or none
	}
	result := s.gathered(file, changes, s.core.ReloadTables(ctx), faults)
	s.stamps = s.options.Config.CertificateStamps()
	s.tellReload(who, result)
	return result
}

// configDiff tells what Reload would change.
func (s *Server) configDiff(ctx context.Context, _ mi.None) (mi.ReloadResult, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	file, faults := s.reread()
	return s.gathered(file, s.diffConfig(file), s.core.DiffTables(ctx), faults), nil
}

func (s *Server) reload(ctx context.Context, _ mi.None) (mi.ReloadResult, error) {
	result := s.Reload(ctx, who(ctx))
	if len(result.Faults) > 0 {
		return result, mi.NewError(mi.CodeBadValue, "not everything was reloaded: a part with a fault stays as it is", result)
	}
	return result, nil
}

// reread reads the configuration again; nil where there is nothing to read, or where it has faults.
func (s *Server) reread() (*gateway.Config, []sms.Fault) {
	if s.options.Reread == nil {
		return nil, nil
	}
	config, err := s.options.Reread()
	var faulty *gateway.FaultsError
	switch {
	case errors.As(err, &faulty):
		return nil, faulty.Faults
	case err != nil:
		return nil, []sms.Fault{{Path: "config", Reason: err.Error()}}
	}
	config = config.WithDefaults()
	return &config, nil
}

// diffConfig compares a file with what runs; the log level is what log_level made it.
func (s *Server) diffConfig(file *gateway.Config) []gateway.KeyChange {
	if file == nil {
		return nil
	}
	running := s.options.Config
	running.Log.Level = strings.ToLower(s.options.Level.Level().String())
	return gateway.DiffConfig(running, *file)
}

// takeConfig makes those keys of a file count that can.
func (s *Server) takeConfig(file gateway.Config) []sms.Fault {
	if err := s.SetTokens(file.MI.Tokens); err != nil {
		return []sms.Fault{{Path: "mi.tokens", Reason: strings.TrimPrefix(err.Error(), "mi.tokens: ")}}
	}
	s.origins.Store(newOrigins(file.MI.Origins))
	_ = s.options.Level.UnmarshalText([]byte(file.Log.Level)) // it was checked
	running := &s.options.Config
	if file.SMPP.DefaultConnection != running.SMPP.DefaultConnection {
		s.core.SetDefaultConnection(file.SMPP.DefaultConnection)
	}
	running.MI.Tokens, running.MI.Origins, running.Log.Level = file.MI.Tokens, file.MI.Origins, file.Log.Level
	running.SMPP.DefaultConnection = file.SMPP.DefaultConnection
	return nil
}

// gathered makes one result of the parts. file is the configuration as it is now; nil: as it was.
func (s *Server) gathered(file *gateway.Config, config []gateway.KeyChange, tables []gateway.TableChanges, faults []sms.Fault) mi.ReloadResult {
	result := mi.ReloadResult{Config: []mi.ConfigChange{}, Certificates: s.changedFiles(), Faults: []mi.Fault{}}
	for _, c := range config {
		result.Config = append(result.Config, mi.ConfigChange(c))
	}
	of := map[string]*mi.SMPPReloadResult{
		"smpp": &result.Connections, "smpp_account": &result.Accounts, "route": &result.Routes, "sip_user": &result.SIPUsers,
	}
	for _, t := range tables {
		faults = append(faults, t.Faults...)
		*of[t.Table] = asChanges(t.Changes)
	}
	if file == nil {
		file = &s.options.Config
	}
	for _, f := range file.CheckCertificates() {
		f.Reason += "; what was read before stays in use"
		faults = append(faults, f)
	}
	for _, f := range faults {
		result.Faults = append(result.Faults, mi.Fault(f))
	}
	return result
}

func asChanges(c smpp.Changes) mi.SMPPReloadResult {
	return mi.SMPPReloadResult{Added: c.Added, Changed: c.Changed, Removed: c.Removed, Unchanged: c.Unchanged}
}

// changedFiles are the keys of the certificates' files that changed since the last reload.
func (s *Server) changedFiles() []string {
	now := s.options.Config.CertificateStamps()
	maps.DeleteFunc(now, func(key, stamp string) bool { return s.stamps[key] == stamp })
	return slices.SortedFunc(maps.Keys(now), cmp.Compare[string])
}

// tellReload tells what changed, and why something did not.
func (s *Server) tellReload(who string, r mi.ReloadResult) {
	e := events.GatewayReloaded{Who: who, Changed: slices.Clone([]string(r.Certificates))}
	for _, c := range r.Config {
		if c.Restart {
			e.Restart = append(e.Restart, c.Key)
		} else {
			e.Changed = append(e.Changed, c.Key)
		}
	}
	for _, t := range []struct {
		row     string
		changes mi.SMPPReloadResult
	}{{"smpp[name=%s]", r.Connections}, {"smpp_account[system_id=%s]", r.Accounts}, {"route[id=%s]", r.Routes}, {"sip_user[username=%s]", r.SIPUsers}} {
		for _, name := range slices.Concat(t.changes.Added, t.changes.Changed, t.changes.Removed) {
			e.Changed = append(e.Changed, fmt.Sprintf(t.row, name))
		}
	}
	for _, f := range r.Faults {
		fault := f.Path + ": " + f.Reason
		e.Faults = append(e.Faults, fault)
		s.options.Log.Error("a part was not reloaded and stays as it is", "who", who, "fault", fault)
	}
	s.options.Log.Info("reloaded", "who", who, "changed", len(e.Changed), "what", strings.Join(e.Changed[:min(len(e.Changed), maxTold)], " "))
	if len(e.Restart) > 0 {
		s.options.Log.Warn("these keys of the configuration changed and count after a restart only", "keys", strings.Join(e.Restart, " "))
	}
	if len(e.Changed)+len(e.Restart)+len(e.Faults) == 0 {
		return
	}
	if len(e.Changed) > maxTold {
		e.Changed = append(e.Changed[:maxTold:maxTold], fmt.Sprintf("and %d more", len(e.Changed)-maxTold))
	}
	if len(e.Faults) > maxTold {
		e.Faults = append(e.Faults[:maxTold:maxTold], fmt.Sprintf("and %d more", len(e.Faults)-maxTold))
	}
	s.core.Events().Publish(e)
}

// maxTold bounds the changes that the log and E_RELOADED name: a hundred thousand rules may have changed at once.
const maxTold = 100
