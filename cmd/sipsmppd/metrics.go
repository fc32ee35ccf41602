package main

import (
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sipsmpp/cmd/internal/version"
	"sipsmpp/gateway"
)

// metricsHandler serves /metrics: what the gateway measures, the process and what it was built from, all with the node's name. One
// value that cannot be told takes no other along.
func metricsHandler(g *gateway.Gateway, mi func() []gateway.Statistic) http.Handler {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sipsmpp_build_info", Help: "1, and what the gateway was built from in the labels",
		ConstLabels: prometheus.Labels{"version": version.Number, "revision": revision(), "goversion": runtime.Version()},
	})
	build.Set(1)
	prometheus.WrapRegistererWith(prometheus.Labels{"node": g.Node()}, registry).MustRegister(
		g.Collector(), miCollector(mi), build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true})
}

// revision is the commit that the gateway was built from, "" if that is not known.
func revision() string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}

// miCollector gives the statistics of the management interface to Prometheus: mi:calls is sipsmpp_mi_calls_total.
type miCollector func() []gateway.Statistic

// Describe tells nothing beforehand.
func (c miCollector) Describe(chan<- *prometheus.Desc) {}

// Collect gives each as it is now.
func (c miCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, s := range c() {
		name, kind := "sipsmpp_"+s.Group+"_"+s.Name, prometheus.GaugeValue
		if s.Counter {
			name, kind = name+"_total", prometheus.CounterValue
		}
		metrics <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, s.Help, nil, nil), kind, float64(s.Value))
	}
}
