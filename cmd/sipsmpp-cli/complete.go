package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/mi"
)

// completeWait bounds how long Tab waits for the gateway.
const completeWait = 2 * time.Second

// complete completes what stands before the cursor as far as it is sure, and gives the candidates for the word that is typed: methods,
// the names of their parameters, and values where the gateway knows which there are.
func (s *session) complete(ctx context.Context, typed string) (completed string, candidates []string) {
	ctx, cancel := context.WithTimeout(ctx, completeWait)
	defer cancel()
	begin := strings.LastIndexByte(typed, ' ') + 1
	words, word := strings.Fields(typed[:begin]), typed[begin:]
	names, end := s.candidates(ctx, words, word)
	for _, name := range names {
		if strings.HasPrefix(name, word) && !slices.Contains(candidates, name) {
			candidates = append(candidates, name)
		}
	}
	switch len(candidates) {
	case 0:
		return typed, nil
	case 1:
		if strings.HasSuffix(candidates[0], "=") {
			end = ""
		}
		return typed[:begin] + candidates[0] + end, candidates
	}
	common := candidates[0]
	for _, c := range candidates[1:] {
		for !strings.HasPrefix(c, common) {
			common = common[:len(common)-1]
		}
	}
	return typed[:begin] + common, candidates
}

// candidates are what may stand behind some words. end is what follows one that is chosen.
func (s *session) candidates(ctx context.Context, words []string, word string) (names []string, end string) {
	methods, err := s.which(ctx)
	if err != nil {
		return nil, ""
	}
	if len(words) > 0 && words[0] == "mi" {
		words = words[1:]
		if len(words) == 0 {
			return methods, " "
		}
	}
	if len(words) == 0 {
		return slices.Concat(commands, []string{"set", "clear", "exit"}, methods), " "
	}
	switch words[0] {
	case "events":
		if strings.HasPrefix(word, "d") {
			return []string{"durable="}, ""
		}
		return s.eventNames(ctx), " "
	case "trace", "top":
		if len(words) == 1 && words[0] == "trace" {
			return append(s.owners(ctx, true), "sip"), " "
		}
		if len(words) == 1 {
			return s.owners(ctx, true), " "
		}
		return map[string][]string{"trace": {"seconds=", "count=", "text=true"}, "top": {"seconds=", "count="}}[words[0]], ""
	case "set":
		return []string{"output=json", "output=table"}, " "
	}
	d, ok := mi.Lookup(words[0])
	if !ok {
		return nil, ""
	}
	if name, _, named := strings.Cut(word, "="); named {
		for _, v := range s.values(ctx, d, name) {
			names = append(names, name+"="+v)
		}
		return names, " "
	}
	positional := len(words) - 1
	for _, w := range words[1:] {
		if name, _, named := strings.Cut(w, "="); named && isName(name) {
			positional = -1
		}
	}
	if positional >= 0 && positional < len(d.Params) {
		names = s.values(ctx, d, d.Params[positional].Name)
		end = " "
	}
	if positional > 0 || positional == 0 && len(d.Params) == 1 && len(names) > 0 {
		return names, end // by position all of them, or the only one
	}
	for _, p := range d.Params {
		if !slices.ContainsFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, p.Name+"=") }) {
			names = append(names, p.Name+"=")
		}
	}
	return names, end
}

// values are what a parameter of a method may be, as far as the gateway knows.
func (s *session) values(ctx context.Context, d *mi.Declaration, parameter string) []string {
	switch parameter {
	case "command", "mi_cmd":
		return s.methods
	case "name":
		return s.owners(ctx, d.Name == mi.SMPPTrace.Name || d.Name == mi.SMPPList.Name)
	case "connection":
		return s.owners(ctx, false)
	case "system_id":
		list, _ := s.client.AccountList(ctx, mi.AccountListParams{}) // who cannot be asked has no candidates, here and below
		return namesOf(list.Accounts, func(a mi.AccountRow) string { return a.SystemID })
	case "username":
		list, _ := s.client.SIPUserList(ctx)
		return namesOf(list.Users, func(u mi.SIPUser) string { return u.Username })
	case "event":
		return s.eventNames(ctx)
	case "statistics":
		return s.statisticNames(ctx)
	case "id":
		return s.ids(ctx, d)
	case "level":
		return []string{"debug", "info", "warning", "error"}
	case "state":
		return []string{"deferred", "sent", "reported", "done", "failed"}
	case "receipt":
		return []string{"true", "false", "failure", "all"}
	case "coding":
		return []string{"auto", "gsm7", "latin1", "ascii", "ucs2"}
	case "ingress":
		return []string{"sip", "mi", "smpp:", "account:"}
	case "enabled", "tls", "text":
		if i := slices.IndexFunc(d.Params, func(p mi.Param) bool { return p.Name == parameter }); i >= 0 && d.Params[i].Want == "a string" {
			return nil
		}
		return []string{"true", "false"}
	}
	return nil
}

// owners are the names of connections, and of accounts where those can be named too.
func (s *session) owners(ctx context.Context, accounts bool) []string {
	list, _ := s.client.SMPPList(ctx, mi.SMPPListParams{})
	names := namesOf(list.Connections, func(c mi.Connection) string { return c.Name })
	if accounts {
		names = append(names, namesOf(list.Accounts, func(a mi.Account) string { return a.SystemID })...)
	}
	return names
}

func (s *session) eventNames(ctx context.Context) []string {
	list, _ := s.client.EventsList(ctx)
	return namesOf(list.Events, func(e mi.EventType) string { return e.Name })
}

// statisticNames are groups, and what is in them.
func (s *session) statisticNames(ctx context.Context) []string {
	list, _ := s.client.ListStatistics(ctx, mi.ListStatisticsParams{})
	names := []string{"all"}
	for name := range list {
		group, _, _ := strings.Cut(name, ":")
		names = append(names, group+":", name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ids are those of rules, or of the latest messages.
func (s *session) ids(ctx context.Context, d *mi.Declaration) []string {
	if strings.HasPrefix(d.Name, "route_") {
		list, _ := s.client.RouteList(ctx, mi.RouteListParams{})
		return namesOf(list.Routes, func(r mi.Route) string { return strconv.FormatInt(r.ID, 10) })
	}
	list, _ := s.client.MessageList(ctx, mi.MessageListParams{Limit: 20})
	return namesOf(list.Messages, func(m mi.Message) string { return m.ID })
}

func namesOf[T any](list []T, name func(T) string) []string {
	names := make([]string, len(list))
	for i, one := range list {
		names[i] = name(one)
	}
	return names
}
