package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"sipsmpp/mi"
)

// register makes every method of the contract served.
func (s *Server) register() {
	d := &s.dispatcher
	serve(d, mi.SMPPList, s.smppList)
	serveSlow(d, mi.SMPPReload, s.smppReload)
	serveSlow(d, mi.SMPPEnable, named(s.core.Enable))
	serveSlow(d, mi.SMPPDisable, named(s.core.Disable))
	serveSlow(d, mi.SMPPAdd, s.smppAdd)
	serveSlow(d, mi.SMPPSet, s.smppSet)
	serveSlow(d, mi.SMPPDelete, s.smppDelete)
	serveSlow(d, mi.SMPPRebind, named(s.core.Rebind))
	serveSlow(d, mi.AccountAdd, s.accountAdd)
	serveSlow(d, mi.AccountSet, s.accountSet)
	serveSlow(d, mi.AccountDelete, s.accountDelete)
	serve(d, mi.AccountList, s.accountList)
	serveSlow(d, mi.AccountReload, s.accountReload)
	serveSlow(d, mi.SMPPTrace, s.smppTrace)
	serveLater(d, mi.MessageSend, s.messageSend)
	serveSlow(d, mi.MessageShow, s.messageShow)
	serveSlow(d, mi.MessageList, s.messageList)
	serveSlow(d, mi.MessageRetry, s.messageRetry)
	serveSlow(d, mi.MessageCancel, s.messageCancel)
	serveSlow(d, mi.Reload, s.reload)
	serveSlow(d, mi.ConfigDiff, s.configDiff)
	s.registerRoutes()

	s.registerSIP(d)

	serve(d, mi.Which, which)
	serve(d, mi.Help, help)
	serve(d, mi.Discover, func(context.Context, mi.None) (mi.Document, error) { return mi.OpenRPC(), nil })
	serve(d, mi.Version, s.version)
	serve(d, mi.Uptime, s.uptime)
	serve(d, mi.PS, ps)
	serve(d, mi.Kill, s.kill)
	serve(d, mi.LogLevel, s.logLevel)
	serve(d, mi.GetStatistics, s.getStatistics)
	serve(d, mi.ListStatistics, s.listStatistics)
	serve(d, mi.ResetStatistics, s.resetStatistics)
	serve(d, mi.EventsList, eventsList)
	serveSlow(d, mi.EventSubscribe, s.eventSubscribe)
	serveSlow(d, mi.SubscribersList, s.subscribersList)
	serveSlow(d, mi.SubscriberDelete, s.subscriberDelete)
	serve(d, mi.Ack, ack)
	serveLater(d, mi.RaiseEvent, s.raiseEvent)
}

func which(_ context.Context, p mi.WhichParams) (mi.WhichResult, error) {
	if p.Command == "" {
		var names []string
		for _, d := range mi.Methods() {
			names = append(names, d.Name)
		}
		names = append(names, mi.OtherNames()...)
		return mi.WhichResult{Names: names}, nil
	}
	d, err := lookup(p.Command)
	if err != nil {
		return mi.WhichResult{}, err
	}
	return mi.WhichResult{Params: d.Recipes()}, nil
}

func lookup(method string) (*mi.Declaration, error) {
	d, ok := mi.Lookup(method)
	if !ok {
		return nil, mi.NewError(mi.CodeNotFound, "unknown MI command "+method+": which lists them", nil)
	}
	return d, nil
}

func help(_ context.Context, p mi.HelpParams) (mi.HelpResult, error) {
	if p.Command == "" {
		return mi.HelpResult{Usage: "Usage: help mi_cmd - returns information about 'mi_cmd'"}, nil
	}
	d, err := lookup(p.Command)
	if err != nil {
		return mi.HelpResult{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s", d.Usage(), d.Summary)
	for _, param := range d.Params {
		fmt.Fprintf(&b, "; %s: %s", param.Name, param.Want)
	}
	b.WriteString("; roles: " + d.RolesText())
	module, _, _ := strings.Cut(d.Name, "_")
	if module != "smpp" && module != "account" && module != "message" && module != "route" && module != "sip" {
		module = "core"
	}
	return mi.HelpResult{Help: b.String(), ExportedBy: module}, nil
}

func (s *Server) version(context.Context, mi.None) (mi.VersionResult, error) {
	return mi.VersionResult{Server: strings.TrimSpace("sipsmpp " + s.options.Version)}, nil
}

func (s *Server) uptime(context.Context, mi.None) (mi.UptimeResult, error) {
	now, started := time.Now(), s.core.Started()
	return mi.UptimeResult{
		Now:     now.Format(time.ANSIC),
		UpSince: started.Format(time.ANSIC),
		UpTime:  fmt.Sprintf("%d [sec]", int(now.Sub(started).Seconds())),
		Time:    mi.Time(now),
	}, nil
}

// processType is what the one process is called in ps and log_level.
const processType = "gateway"

func ps(context.Context, mi.None) (mi.PSResult, error) {
	return mi.PSResult{Processes: []mi.Process{{PID: os.Getpid(), Type: processType}}}, nil
}

// killDelay lets the answer go out before the process goes down.
const killDelay = 100 * time.Millisecond

func (s *Server) kill(context.Context, mi.None) (string, error) {
	s.options.Log.Warn("the MI was told to kill the gateway")
	time.AfterFunc(killDelay, s.options.Stop)
	return mi.OK, nil
}

// The levels with OpenSIPS' numbers.
var levels = []struct {
	number int
	name   string
	level  slog.Level
}{
	{-1, "error", slog.LevelError},
	{1, "warning", slog.LevelWarn},
	{1, "warn", slog.LevelWarn},
	{3, "info", slog.LevelInfo},
	{2, "notice", slog.LevelInfo},
	{4, "debug", slog.LevelDebug},
}

func (s *Server) logLevel(_ context.Context, p mi.LogLevelParams) (mi.LogLevelResult, error) {
	if p.Level == "" {
		number := 4
		for _, l := range levels {
			if s.options.Level.Level() >= l.level {
				number = l.number
				break
			}
		}
		return mi.LogLevelResult{Processes: []mi.ProcessLogLevel{{PID: os.Getpid(), Level: number, Type: processType}}}, nil
	}
	for _, l := range levels {
		if strings.EqualFold(p.Level, l.name) || p.Level == strconv.Itoa(l.number) {
			s.options.Level.Set(l.level)
			return mi.LogLevelResult{New: &l.number}, nil
		}
	}
	return mi.LogLevelResult{}, badValue("level", "want error, warning, info or debug, or one of OpenSIPS' numbers -1, 1, 3 and 4")
}

// badValue is the error of a value that was read, and is no good.
func badValue(parameter, reason string) *mi.Error {
	return mi.NewError(mi.CodeBadValue, "Bad value: "+parameter+": "+reason, mi.ParamFault{Parameter: parameter, Reason: reason})
}

// named makes a method of what is done with a connection by its name.
func named(f func(string) error) func(context.Context, mi.NameParams) (string, error) {
	return func(_ context.Context, p mi.NameParams) (string, error) {
		if err := f(p.Name); err != nil {
			return "", coreError(err)
		}
		return mi.OK, nil
	}
}

// coreError gives an error of the core its code.
func coreError(err error) error {
	for _, known := range coreErrors {
		if errors.Is(err, known.err) {
			return mi.NewError(known.code, err.Error(), nil)
		}
	}
	return err
}
