package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sipsmpp/clients"
	"sipsmpp/gateway"
	"sipsmpp/gateway/store"
	"sipsmpp/mi"
)

// running is a daemon as main starts it, with systemd played by the test.
type running struct {
	t       *testing.T
	dir     string
	mi      *clients.Client
	systemd *net.UnixConn
	end     context.CancelFunc
	ended   chan error
}

const plain = "node: t\nsip: {listen: ['udp:127.0.0.1:0']}\nsmpp: {listen: ['127.0.0.1:0']}\n"

func runDaemon(t *testing.T) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	socket := filepath.Join(r.dir, "notify")
	var err error
	if r.systemd, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.systemd.Close() })
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "100000")
	r.write("")
	config, err := r.read()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.end = cancel
	go func() { r.ended <- serve(ctx, config, r.read, t.Output()) }()
	if r.mi, err = clients.Dial("unix:" + filepath.Join(r.dir, "mi.sock")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.mi.Close() })
	return r
}

func (r *running) read() (gateway.Config, error) {
	return readConfig(filepath.Join(r.dir, "sipsmpp.yaml"))
}

// write writes the configuration, with more lines behind it.
func (r *running) write(more string) {
	r.t.Helper()
	text := plain + "db: sqlite:" + r.dir + "/db\nmi: {listen: '127.0.0.1:0', socket: " + r.dir + "/mi.sock}\n" + more
	if err := os.WriteFile(filepath.Join(r.dir, "sipsmpp.yaml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// told waits for a datagram to systemd that begins so.
func (r *running) told(prefix string) string {
	r.t.Helper()
	b := make([]byte, 4096)
	if err := r.systemd.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	for {
		n, err := r.systemd.Read(b)
		if err != nil {
			r.t.Fatalf("systemd was not told %s: %v", prefix, err)
		}
		if strings.HasPrefix(string(b[:n]), prefix) {
			return string(b[:n])
		}
	}
}

// SIGHUP reads everything again, and systemd is told of each step from the start to the end.
func TestDaemon(t *testing.T) {
	r := runDaemon(t)
	r.told("READY=1")
	if os.Getenv("NOTIFY_SOCKET") != "" {
		t.Error("children would be told of systemd")
	}
	for range 3 {
		r.told("WATCHDOG=1")
	}
	db, err := store.Open(t.Context(), "sqlite:"+r.dir+"/db")
	if err != nil {
		t.Fatal(err)
	}
	c := store.NewConnection("acme", "127.0.0.1", 1)
	c.Enabled = false
	if err := db.PutConnection(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.write("log: {level: debug}\n")
	diff, err := clients.Call(t.Context(), r.mi, mi.ConfigDiff, mi.None{})
	if err != nil || len(diff.Config) != 1 || diff.Config[0].Key != "log.level" || len(diff.Connections.Added) != 1 {
		t.Errorf("config_diff: %+v, %v", diff, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if step := r.told("RELOADING=1"); !strings.Contains(step, "\nMONOTONIC_USEC=") {
		t.Errorf("told %q", step)
	}
	if step := r.told("READY=1"); !strings.Contains(step, "STATUS=serving; reloaded") {
		t.Errorf("told %q", step)
	}
	list, err := clients.Call(t.Context(), r.mi, mi.SMPPList, mi.SMPPListParams{})
	if err != nil || len(list.Connections) != 1 || list.Connections[0].Name != "acme" {
		t.Errorf("smpp_list: %+v, %v", list, err)
	}
	level, err := clients.Call(t.Context(), r.mi, mi.LogLevel, mi.LogLevelParams{})
	if err != nil || level.Processes[0].Level != 4 {
		t.Errorf("log_level: %+v, %v", level, err)
	}
	r.write("log: {level: loud}\nnonsense: 1\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.told("RELOADING=1")
	if step := r.told("READY=1"); !strings.Contains(step, "the last reload found 2 faults: nonsense: ") || strings.Count(step, "\n") != 1 {
		t.Errorf("told %q", step)
	}
	r.end()
	r.told("STOPPING=1")
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// Prometheus gets what the MI counts of itself beside the gateway's.
func TestMetrics(t *testing.T) {
	config, faults := gateway.ParseConfig([]byte(plain + "db: sqlite:" + t.TempDir() + "/db\nmi: {listen: '127.0.0.1:0'}\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	d, err := start(t.Context(), config, nil, slog.New(slog.DiscardHandler), new(slog.LevelVar), func() {})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + d.miAddr.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	for _, want := range []string{`sipsmpp_mi_connections{node="t"} 1`, `sipsmpp_mi_calls_total{node="t"} 0`, `sipsmpp_build_info{`, `sipsmpp_messages_received_total`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("no %s, %v", want, err)
		}
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

func TestWatchdogPeriod(t *testing.T) {
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
		bad       bool
	}{
		{"", "", 0, false}, {"30000000", "", 30 * time.Second, false}, {"30000000", "1", 0, false}, {"soon", "", 0, true}, {"-1", "", 0, true},
	} {
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		if got, err := watchdogPeriod(); got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
}

// `sipsmppd -t` names each fault once, by its path.
func TestCheckAll(t *testing.T) {
	t.Chdir(t.TempDir())
	for yaml, want := range map[string]string{
		"":                      "good\n",
		"db: sqlit:x":           "db: \"sqlit\" is no kind of database that is known: want sqlite:PATH, mysql://user:password@host/name or postgres://user:password@host/name\n1 fault",
		"db: sqlite:.":          "db: ",
		"node: x\nnod: y\na: b": "2 faults",
	} {
		if err := os.WriteFile("sipsmpp.yaml", []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		config, err := readConfig("")
		said := ""
		if err := checkAll(t.Context(), config, err, &out); err != nil {
			said = err.Error()
		}
		if got := out.String() + said; !strings.Contains(got, want) || strings.Contains(got, "db: db: ") {
			t.Errorf("%q: got %q, want %q", yaml, got, want)
		}
	}
}
