package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sipsmpp/gateway"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

// RouteCore is what the methods of table route need of the core.
type RouteCore interface {
	Routes() ([]route.Rule, []sms.Fault)
	ReloadRoutes(ctx context.Context) (gateway.RouteChanges, error)
	AddRoute(ctx context.Context, r route.Rule) (id int64, err error)
	SetRoute(ctx context.Context, id int64, change func(*route.Rule)) error
	DeleteRoute(ctx context.Context, id int64) error
	TestRoute(m *sms.Message) gateway.RouteTest
	RouteMessage(id sms.ID, targets []route.Target) error
	CheckTarget(t route.Target) error
}

// registerRoutes makes the methods of table route served, and those that decide messages.
func (s *Server) registerRoutes() {
	d := &s.dispatcher
	serveSlow(d, mi.RouteList, s.routeList)
	serveSlow(d, mi.RouteAdd, s.routeAdd)
	serveSlow(d, mi.RouteSet, s.routeSet)
	serveSlow(d, mi.RouteDelete, s.routeDelete)
	serveSlow(d, mi.RouteReload, s.routeReload)
	serveSlow(d, mi.RouteTest, s.routeTest)
	serve(d, mi.MessageRoute, s.messageRoute)
	serve(d, mi.MessageReject, s.messageReject)
}

const (
	routesDefault = 1000
	routesMost    = 10_000
)

func (s *Server) routeList(_ context.Context, p mi.RouteListParams) (mi.RouteListResult, error) {
	rules, faults := s.core.Routes()
	result := mi.RouteListResult{Routes: []mi.Route{}, Total: len(rules)}
	limit := p.Limit
	switch {
	case limit < 0 || limit > routesMost:
		return result, badValue("limit", fmt.Sprintf("want 1 to %d", routesMost))
	case limit == 0:
		limit = routesDefault
	}
	for _, r := range rules { // by id
		if p.ID != 0 && r.ID != p.ID || r.ID <= p.After {
			continue
		}
		if len(result.Routes) == limit {
			result.Next = result.Routes[limit-1].ID
			break
		}
		result.Routes = append(result.Routes, routeRow(r, faults))
	}
	if p.ID != 0 && len(result.Routes) == 0 {
		return result, coreError(gateway.ErrUnknownRoute)
	}
	return result, nil
}

// routeRow is a rule as the MI tells it. Options that are no JSON stand as a string.
func routeRow(r route.Rule, faults []sms.Fault) mi.Route {
	result := mi.Route{
		ID: r.ID, Name: r.Name, Description: r.Description, Priority: r.Priority, Enabled: r.Enabled, Ingress: r.Ingress,
		FromMatch: r.From, ToMatch: r.To, When: r.When, Targets: r.Targets, Strategy: r.Strategy,
		Fault: gateway.RouteFault(faults, r.ID),
	}
	if options := strings.TrimSpace(r.Options); json.Valid([]byte(options)) {
		result.Options = json.RawMessage(options)
	} else if options != "" {
		result.Options, _ = json.Marshal(options) // a string always marshals
	}
	return result
}

func (s *Server) routeAdd(ctx context.Context, p mi.RouteAddParams) (mi.RouteAddResult, error) {
	r := route.Rule{
		Name: p.Name, Description: p.Description, Priority: p.Priority, Enabled: p.Enabled == nil || *p.Enabled, Ingress: p.Ingress,
		From: p.FromMatch, To: p.ToMatch, When: p.When, Targets: p.Targets, Strategy: p.Strategy, Options: string(p.Options),
	}
	if r.Strategy == "" {
		r.Strategy = "failover"
	}
	id, err := s.core.AddRoute(ctx, r)
	return mi.RouteAddResult{ID: id}, routeError(err)
}

func (s *Server) routeSet(ctx context.Context, p mi.RouteSetParams) (string, error) {
	err := s.core.SetRoute(ctx, p.ID, func(r *route.Rule) {
		for _, c := range []struct {
			given  *string
			column *string
		}{
			{p.Targets, &r.Targets}, {p.ToMatch, &r.To}, {p.FromMatch, &r.From}, {p.Ingress, &r.Ingress}, {p.When, &r.When},
			{p.Strategy, &r.Strategy}, {p.Name, &r.Name}, {p.Description, &r.Description},
		} {
			if c.given != nil {
				*c.column = *c.given
			}
		}
		if p.Priority != nil {
			r.Priority = *p.Priority
		}
		if p.Enabled != nil {
			r.Enabled = *p.Enabled
		}
		if p.Options != nil {
			r.Options = string(p.Options)
		}
	})
	if err != nil {
		return "", routeError(err)
	}
	return mi.OK, nil
}

func (s *Server) routeDelete(ctx context.Context, p mi.RouteDeleteParams) (string, error) {
	if err := s.core.DeleteRoute(ctx, p.ID); err != nil {
		return "", routeError(err)
	}
	return mi.OK, nil
}

func (s *Server) routeReload(ctx context.Context, _ mi.None) (mi.RouteReloadResult, error) {
	changes, err := s.core.ReloadRoutes(ctx)
	return mi.RouteReloadResult(changes), routeError(err)
}

// routeError gives an error about rules its code; one with faults lists them in its data.
func routeError(err error) error {
	if bad := new(gateway.FaultsError); errors.As(err, &bad) {
		return mi.NewError(mi.CodeBadValue, "table route would have bad rows, and nothing was changed", faults(bad))
	}
	return coreError(err)
}

func (s *Server) routeTest(_ context.Context, p mi.RouteTestParams) (mi.RouteTestResult, error) {
	result := mi.RouteTestResult{Targets: []mi.RouteTarget{}, Others: []mi.RouteOther{}}
	empty := p.Text == "" && p.Data == nil // the numbers may be all that is asked about
	if empty {
		p.Text = "."
	}
	m, fault := s.message(p.MessageSendParams)
	if fault != nil {
		return result, fault
	}
	if empty {
		m.Text = ""
	}
	if p.Ingress != "" {
		leg, ok := sms.ParseLeg(p.Ingress)
		if !ok || leg.Kind == sms.LegApp {
			return result, badValue("ingress", "want sip, sip:USER, smpp:NAME, account:SYSTEM_ID or mi")
		}
		m.Ingress = leg
	}
	t := s.core.TestRoute(m)
	result.ID, result.Rule, result.Loop, result.Fault, result.Asked = t.ID, t.Rule, t.Loop, t.Fault, t.Asked
	for i, target := range t.Targets {
		result.Targets = append(result.Targets, mi.RouteTarget{Target: target.String(), State: t.States[i]})
	}
	for _, c := range t.Contacts {
		result.Contacts = append(result.Contacts, c.URI)
	}
	result.From, result.To = t.Message.From.String(), t.Message.To.String()
	result.Receipt = mi.Receipt(t.Message.Receipt.String())
	if t.Fault == "" {
		result.Coding, result.Segments = t.Plan.Alphabet.String(), t.Plan.Segments
	}
	for _, o := range t.Others {
		result.Others = append(result.Others, mi.RouteOther(o))
	}
	return result, nil
}

func (s *Server) messageRoute(_ context.Context, p mi.MessageRouteParams) (string, error) {
	id, err := sms.ParseID(p.ID)
	if err != nil {
		return "", badValue("id", err.Error())
	}
	var targets []route.Target
	for word := range strings.SplitSeq(p.Target, ",") {
		t, err := route.ParseTarget(word)
		if err == nil {
			err = s.core.CheckTarget(t)
		}
		if err != nil {
			return "", badValue("target", err.Error())
		}
		targets = append(targets, t)
	}
	if err := s.core.RouteMessage(id, targets); err != nil {
		return "", coreError(err)
	}
	return mi.OK, nil
}

func (s *Server) messageReject(_ context.Context, p mi.MessageRejectParams) (string, error) {
	id, err := sms.ParseID(p.ID)
	if err != nil {
		return "", badValue("id", err.Error())
	}
	t, err := route.ParseTarget("reject " + p.Code)
	if err != nil {
		return "", badValue("code", err.Error())
	}
	if err := s.core.RouteMessage(id, []route.Target{t}); err != nil {
		return "", coreError(err)
	}
	return mi.OK, nil
}
