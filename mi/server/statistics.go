package server

import (
	"context"

	"sipsmpp/gateway"
	"sipsmpp/mi"
)

// Statistics are those of the MI itself, since the start.
func (s *Server) Statistics() []gateway.Statistic {
	open, sockets := s.pool.counts()
	return []gateway.Statistic{
		{Group: "mi", Name: "connections", Value: uint64(open), Help: "TCP connections of the MI"},
		{Group: "mi", Name: "websockets", Value: uint64(sockets), Help: "WebSockets among the connections of the MI"},
		{Group: "mi", Name: "calls", Value: s.dispatcher.calls.Load(), Counter: true, Help: "calls of the MI's methods"},
		{Group: "mi", Name: "unauthorized", Value: s.access.failed.Load(), Counter: true, Help: "requests to the MI with an unknown token"},
		{Group: "mi", Name: "connections_evicted", Value: s.pool.evicted.Load(), Counter: true, Help: "idle connections of the MI that made room for new ones"},
		{Group: "mi", Name: "connections_turned_away", Value: s.pool.turnedAway.Load(), Counter: true, Help: "connections of the MI closed at once, because all others were served"},
	}
}

// statistics are those of the core and of the MI, its counters since they were reset.
func (s *Server) statistics() []gateway.Statistic {
	own, base := s.Statistics(), s.baseline.Load()
	for i := range own {
		if own[i].Counter && base != nil {
			own[i].Value -= (*base)[own[i].Name]
		}
	}
	return append(s.core.Statistics(), own...)
}

// getStatistics tells the numbers that are asked for.
func (s *Server) getStatistics(_ context.Context, p mi.StatisticsParams) (mi.Statistics, error) {
	result := mi.Statistics{}
	for _, statistic := range s.statistics() {
		if wanted(p.Statistics, statistic.Group, statistic.Name) {
			result[statistic.Group+":"+statistic.Name] = statistic.Value
		}
	}
	if len(result) == 0 {
		return nil, errNoStatistics
	}
	return result, nil
}

var errNoStatistics = mi.NewError(mi.CodeNotFound, "Statistics Not Found: list_statistics lists them", nil)

func (s *Server) listStatistics(_ context.Context, p mi.ListStatisticsParams) (map[string]string, error) {
	result := map[string]string{}
	for _, statistic := range s.statistics() {
		if p.Statistics != nil && !wanted(p.Statistics, statistic.Group, statistic.Name) {
			continue
		}
		kind := "non-incremental"
		if statistic.Counter {
			kind = "incremental"
		}
		result[statistic.Group+":"+statistic.Name] = kind
	}
	if len(result) == 0 {
		return nil, errNoStatistics
	}
	return result, nil
}

// wanted says that a list names a statistic: `all`, `group:`, `group:name` or `name`.
func wanted(list []string, group, name string) bool {
	for _, w := range list {
		if w == "all" || w == group+":" || w == group+":"+name || w == name {
			return true
		}
	}
	return false
}

func (s *Server) resetStatistics(_ context.Context, p mi.StatisticsParams) (string, error) {
	for _, name := range p.Statistics {
		if name != "all" {
			return "", badValue("statistics", "counters are reset together: want all")
		}
	}
	s.core.ResetStatistics()
	base := make(map[string]uint64)
	for _, own := range s.Statistics() {
		base[own.Name] = own.Value
	}
	s.baseline.Store(&base)
	return mi.OK, nil
}
