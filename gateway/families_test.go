package gateway

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// atDaemon are the metrics that cmd/sipsmppd adds.
var atDaemon = []string{"sipsmpp_build_info"}

// metricNames finds what Prometheus calls the gateway's metrics, as they stand in a text, a histogram by its own name.
func metricNames(text string) map[string]bool {
	names := make(map[string]bool)
	for _, name := range regexp.MustCompile(`\bsipsmpp_[a-z_]+`).FindAllString(text, -1) {
		for _, f := range families {
			if f.kind == histogramKind && slices.Contains([]string{f.metric + "_bucket", f.metric + "_sum", f.metric + "_count"}, name) {
				name = f.metric
			}
		}
		names[name] = true
	}
	return names
}

// known are the metrics that there are.
func known() map[string]bool {
	names := make(map[string]bool)
	for _, f := range families {
		names[f.metric] = true
	}
	for _, name := range atDaemon {
		names[name] = true
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNamesOfFamilies(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range families {
		statistic := f.group + ":" + f.name
		if seen[f.metric] || seen[statistic] {
			t.Errorf("%s, %s is there twice", statistic, f.metric)
		}
		seen[f.metric], seen[statistic] = true, true
		// https://prometheus.io/docs/practices/naming
		if counts := strings.HasSuffix(f.metric, "_total"); counts != (f.kind == counterKind) {
			t.Errorf("%s: a counter ends in _total, and nothing else does", f.metric)
		}
		if f.kind == histogramKind && !strings.HasSuffix(f.metric, "_seconds") {
			t.Errorf("%s: durations are in seconds", f.metric)
		}
		if strings.Contains(f.name, "-") || f.help == "" {
			t.Errorf("%s: a hyphen parts labels from the name, and help tells what it is", statistic)
		}
	}
}

// TestMetricsAreDocumented compares docs/metrics.md with what there is, row by row and in both directions.
func TestMetricsAreDocumented(t *testing.T) {
	text := read(t, "../docs/metrics.md")
	for _, f := range families {
		row := fmt.Sprintf("| `%s` | %s | %s | `%s:", f.metric, [...]string{"gauge", "counter", "histogram"}[f.kind], strings.Join(f.labels, ", "), f.group)
		if !strings.Contains(text, row) {
			t.Errorf("docs/metrics.md has no row that begins %q", row)
		}
		if !strings.Contains(text, "| "+f.help+" |") {
			t.Errorf("docs/metrics.md does not say of %s: %s", f.metric, f.help)
		}
	}
	there := known()
	for name := range metricNames(text) {
		if !there[name] {
			t.Errorf("docs/metrics.md names %s, which there is not", name)
		}
	}
}

// TestDashboardAndAlerts want examples/grafana to show every metric, and neither it nor the alerts to ask for one that there is not.
func TestDashboardAndAlerts(t *testing.T) {
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text := read(t, "../examples/grafana/sipsmpp.json")
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	there, shown, ids := known(), make(map[string]bool), make(map[int]bool)
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id of another", p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			for name := range metricNames(target.Expr) {
				shown[name] = true
				if !there[name] {
					t.Errorf("panel %q asks for %s, which there is not", p.Title, name)
				}
			}
		}
	}
	for name := range there {
		if !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	for name := range metricNames(read(t, "../examples/prometheus/alerts.yml")) {
		if !there[name] {
			t.Errorf("the alerts ask for %s, which there is not", name)
		}
	}
}
