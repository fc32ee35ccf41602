package server

import (
	"context"

	"sipsmpp/gateway"
	"sipsmpp/mi"
)

// ownCounts are the counters of the MI itself, when they were last reset.
type ownCounts struct{ calls, unauthorized, evicted, turnedAway uint64 }

// statistics are those of the core, and of the MI itself.
func (s *Server) statistics() []gateway.Statistic {
	base := s.baseline.Load()
	open, sockets := s.pool.counts()
	counter := func(name string, value uint64, help string) gateway.Statistic {
		return gateway.Statistic{Group: "mi", Name: name, Value: value, Counter: true, Help: help}
	}
	return append(s.core.Statistics(),
		gateway.Statistic{Group: "mi", Name: "connections", Value: uint64(open), Help: "TCP connections of the MI"},
		gateway.Statistic{Group: "mi", Name: "websockets", Value: uint64(sockets), Help: "WebSockets among them"},
		counter("calls", s.dispatcher.calls.Load()-base.calls, "calls of methods"),
		counter("unauthorized", s.access.failed.Load()-base.unauthorized, "requests with an unknown token"),
		counter("connections_evicted", s.pool.evicted.Load()-base.evicted, "idle connections that made room for new ones"),
		counter("connections_turned_away", s.pool.turnedAway.Load()-base.turnedAway, "connections closed at once, because all others were served"),
	)
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
	s.baseline.Store(&ownCounts{calls: s.dispatcher.calls.Load(), unauthorized: s.access.failed.Load(), evicted: s.pool.evicted.Load(), turnedAway: s.pool.turnedAway.Load()})
	return mi.OK, nil
}
