package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/clients"
	"sipsmpp/examples/httpapi/storetest"
	"sipsmpp/mi"
)

// The application and the gateway, each in its own process, are killed again and again under load. Every POST that was accepted ends in
// exactly one report at the webhook, every message from a phone that was taken arrives, and what is told twice says so.
//
// SIPSMPP_HTTPAPI_KILL=2m makes it longer; SIPSMPP_HTTPAPI_DB=postgres or mysql takes that database, where its server is named.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts processes and kills them")
	}
	duration := 8 * time.Second
	if s := os.Getenv("SIPSMPP_HTTPAPI_KILL"); s != "" {
		var err error
		if duration, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	load, stopLoad := context.WithCancel(t.Context())
	defer stopLoad()
	var running sync.WaitGroup
	for n := range 4 {
		running.Go(func() { w.post(load, n) })
	}
	running.Go(func() { w.phones(load) })
	kills := 0
	for began := time.Now(); time.Since(began) < duration || kills < 3 || !w.enough(); {
		time.Sleep(500*time.Millisecond + rand.N(time.Second)) // as a crash does, it comes at any moment
		switch kills++; kills % 3 {
		case 0:
			w.api.kill()
			w.gateway.kill()
		case 1:
			w.api.kill()
		case 2:
			w.gateway.kill()
		}
		w.start()
	}
	stopLoad()
	running.Wait()
	w.settle(time.Minute)
	w.check(kills)
}

// The tokens of the gateway's management interface: ours, and the application's, which may no more than it needs.
const (
	adminToken = "a-token-of-the-test"
	appToken   = "a-token-of-the-application"
)

// world is everything that takes part.
type world struct {
	*testing.T
	dir          string
	smsc         *process
	gateway      *process
	api          *process
	mi, url, mo  string
	key          string
	hooks        *webhookLog
	mu           sync.Mutex
	accepted     map[string]bool // ids of messages whose POST was answered 202
	arrived      map[string]bool // texts from phones that the gateway took
	initialFunds int
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, dir: t.TempDir(), accepted: make(map[string]bool), arrived: make(map[string]bool), hooks: newWebhookLog(t)}
	bin := filepath.Join(w.dir, "bin") + string(filepath.Separator)
	if out, err := exec.Command("go", "build", "-o", bin, "sipsmpp/cmd/sipsmppd", "sipsmpp/cmd/smscsim", "sipsmpp/examples/httpapi").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ports := freePorts(t, 6)
	smsc, control, miAddress, sip, smpp, listen := ports[0], ports[1], ports[2], ports[3], ports[4], ports[5]
	w.mi, w.url, w.mo = "http://"+miAddress, "http://"+listen, "http://"+control+"/mo"
	w.file("sipsmpp.yaml", fmt.Sprintf("node: gw\ndb: sqlite:%s\nsip: {listen: [\"udp:%s\"]}\nsmpp: {listen: [\"%s\"]}\nmi:\n  listen: \"%s\"\n  tokens:\n"+
		"    - {name: test, role: admin, hash: \"%s\"}\n    - {name: httpapi, role: app, hash: \"%s\", senders: [\"Acme\", \"+4930*\"], connections: [\"*\"], events: [\"E_MESSAGE_*\"]}\nlog: {level: warn}\n",
		filepath.Join(w.dir, "gateway.db"), sip, smpp, miAddress, mi.HashToken(adminToken), mi.HashToken(appToken)))
	db := "sqlite:" + filepath.Join(w.dir, "httpapi.db")
	switch os.Getenv("SIPSMPP_HTTPAPI_DB") {
	case "postgres":
		db = storetest.Postgres(t)
	case "mysql":
		db = storetest.MySQL(t)
	}
	w.file("httpapi.yaml", fmt.Sprintf("listen: %s\ndb: %s\ngateway: %s/mi\ngateway_token: %s\ncall_timeout: 3s\nwebhooks: {private: true, retries: [100ms, 200ms, 500ms, 1s, 1s, 1s, 1s, 1s, 1s, 1s]}\n",
		listen, db, w.mi, appToken))
	w.smsc = w.process(bin+"smscsim", "--quiet", "--listen", smsc, "--control", control, "--receipt-delay", "50ms")
	w.gateway = w.process(bin+"sipsmppd", "-c", filepath.Join(w.dir, "sipsmpp.yaml"))
	w.api = w.process(bin+"httpapi", "serve", "-c", filepath.Join(w.dir, "httpapi.yaml"))
	w.smsc.start()
	w.gateway.start()
	w.reaches(w.mi + "/healthz")

	c, err := clients.Dial(w.mi, clients.WithToken(adminToken))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	host, port, _ := net.SplitHostPort(smsc)
	if _, err := c.SMPPAdd(t.Context(), mi.SMPPAddParams{Name: "sim", IP: mi.Value(host), Port: mi.Value(port), SystemID: new(mi.Value("me")), Password: new(mi.Value("pw"))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RouteAdd(t.Context(), mi.RouteAddParams{Targets: "app", ToMatch: "+4930*"}); err != nil {
		t.Fatal(err)
	}
	admin := func(stdin string, args ...string) string {
		t.Helper()
		run := exec.Command(bin+"httpapi", append(args, "-c", filepath.Join(w.dir, "httpapi.yaml"))...)
		run.Stdin = strings.NewReader(stdin)
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("httpapi %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	w.initialFunds = 1000
	admin("", "customer", "add", "acme", "--price", "0.01", "--balance", strconv.Itoa(w.initialFunds), "--throughput", "0", "--sender", "Acme", "--webhook", w.hooks.server.URL)
	admin("", "number", "assign", "acme", "+493012345")
	w.key = admin("", "key", "add", "acme")
	w.api.start()
	w.reaches(w.url + "/readyz")
	// What the gateway tells the applications is kept for those alone that have subscribed once.
	w.until("the subscription of the application", func() bool {
		list, err := c.SubscribersList(t.Context(), mi.SubscribersListParams{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list.Events, func(e mi.Subscribed) bool {
			return slices.ContainsFunc(e.Subscribers, func(s mi.Subscriber) bool { return s.Durable == "httpapi" })
		})
	})
	return w
}

func (w *world) file(name, text string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) until(what string, condition func() bool) {
	w.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("it did not come: %s", what)
		}
	}
}

func (w *world) reaches(address string) {
	w.Helper()
	w.until(address, func() bool {
		response, err := http.Get(address)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// start starts what was killed.
func (w *world) start() {
	w.gateway.start()
	w.api.start()
}

// post sends messages, each until it was accepted, whatever happens meanwhile.
func (w *world) post(ctx context.Context, worker int) {
	client := &http.Client{Timeout: 5 * time.Second}
	for n := 0; ctx.Err() == nil; n++ {
		body := fmt.Sprintf(`{"to":"+49151%d%07d","text":"message %d of %d"}`, worker, n, n, worker)
		for {
			request, err := http.NewRequest("POST", w.url+"/v1/messages", strings.NewReader(body))
			if err != nil {
				w.Error(err)
				return
			}
			request.Header.Set("Authorization", "Bearer "+w.key)
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Idempotency-Key", fmt.Sprintf("%d-%d", worker, n))
			id, err := accepted(client, request)
			if err == nil {
				w.mu.Lock()
				w.accepted[id] = true
				w.mu.Unlock()
				break
			}
			if w.Context().Err() != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func accepted(client *http.Client, request *http.Request) (id string, err error) {
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		return "", errors.New(response.Status)
	}
	var answer struct{ Messages []struct{ ID string } }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Messages) != 1 {
		return "", errors.New("half an answer")
	}
	return answer.Messages[0].ID, nil
}

// phones send messages, one after the other.
func (w *world) phones(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		w.phone(fmt.Sprintf("from a phone %d", n))
		time.Sleep(15 * time.Millisecond)
	}
}

// phone sends one, and remembers it where the gateway took it.
func (w *world) phone(text string) {
	client := &http.Client{Timeout: 3 * time.Second}
	response, err := client.Post(w.mo+"?"+url.Values{"from": {"+4915112345678"}, "to": {"+493012345"}, "text": {text}}.Encode(), "", nil)
	if err != nil {
		return
	}
	defer response.Body.Close()
	var answer struct {
		Status *uint32 `json:"command_status"`
	}
	if json.NewDecoder(response.Body).Decode(&answer) == nil && answer.Status != nil && *answer.Status == 0 {
		w.mu.Lock()
		w.arrived[text] = true
		w.mu.Unlock()
	}
}

// enough says that enough has come through for the test to mean something, on however slow a machine.
func (w *world) enough() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.accepted) >= 50 && len(w.arrived) >= 20
}

// settle waits until everything is told that is to be told, or nothing more has come for so long.
func (w *world) settle(quiet time.Duration) {
	last, missed := time.Now(), -1
	for time.Since(last) < quiet {
		time.Sleep(100 * time.Millisecond)
		reports, incoming := w.hooks.told()
		w.mu.Lock()
		missing := 0
		for id := range w.accepted {
			if reports[id] == nil {
				missing++
			}
		}
		for text := range w.arrived {
			if incoming[text] == nil {
				missing++
			}
		}
		w.mu.Unlock()
		if missing == 0 {
			return
		}
		if missing != missed {
			last, missed = time.Now(), missing
		}
	}
}

func (w *world) check(kills int) {
	w.api.stop() // and nothing more comes
	reports, incoming := w.hooks.told()
	doubles := 0
	once := func(what string, deliveries map[string]int) {
		if len(deliveries) != 1 {
			w.Errorf("%s: %d deliveries %v, want one", what, len(deliveries), deliveries)
		}
		for _, times := range deliveries {
			doubles += times - 1
		}
	}
	for id := range w.accepted {
		once("report of "+id, reports[id])
	}
	for id := range reports {
		if !w.accepted[id] {
			w.Errorf("a report of %s, which was not accepted", id)
		}
	}
	for text := range w.arrived {
		once(text, incoming[text])
	}
	for text, deliveries := range incoming {
		if len(deliveries) != 1 {
			w.Errorf("%q came as %d deliveries", text, len(deliveries))
		}
	}
	for _, fault := range w.hooks.faults {
		w.Error(fault)
	}
	w.Logf("%d kills; %d messages accepted, each with one report; %d from phones; %d deliveries came again and said so; states %v",
		kills, len(w.accepted), len(w.arrived), doubles, w.hooks.states)
	w.funds()
}

// funds checks that what was charged is what was accepted, less what was refunded.
func (w *world) funds() {
	w.api.start()
	w.reaches(w.url + "/readyz")
	request, _ := http.NewRequest("GET", w.url+"/v1/balance", nil)
	request.Header.Set("Authorization", "Bearer "+w.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.Error(err)
		return
	}
	defer response.Body.Close()
	var got struct{ Balance string }
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		w.Error(err)
	}
	paid := len(w.accepted) - w.hooks.refunds()
	if want := fmt.Sprintf("%.2f", float64(w.initialFunds)-0.01*float64(paid)); got.Balance != want {
		w.Errorf("the balance is %s, want %s: %d messages, %d refunded", got.Balance, want, len(w.accepted), w.hooks.refunds())
	}
}

// webhookLog is the customer's server. It fails now and then, also after it has written down what came.
type webhookLog struct {
	server *httptest.Server

	mu       sync.Mutex
	seen     map[string]int            // webhook-id -> how often
	reports  map[string]map[string]int // message -> webhook-id -> how often
	incoming map[string]map[string]int // text -> webhook-id -> how often
	refunded map[string]bool
	states   map[string]int
	faults   []string
}

func newWebhookLog(t *testing.T) *webhookLog {
	l := &webhookLog{seen: make(map[string]int), reports: make(map[string]map[string]int), incoming: make(map[string]map[string]int), refunded: make(map[string]bool), states: make(map[string]int)}
	l.server = httptest.NewServer(l)
	t.Cleanup(l.server.Close)
	return l
}

func (l *webhookLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rand.IntN(20) == 0 {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var body struct {
		Type string
		Data struct {
			ID, Text, State string
			Refunded        bool
		}
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	id, attempt := r.Header.Get("webhook-id"), r.Header.Get("webhook-attempt")
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil { // its sender was killed
		return
	}
	if l.seen[id]++; l.seen[id] > 1 && attempt == "1" {
		l.faults = append(l.faults, "a delivery came again as the first: "+id)
	}
	told, key := l.reports, body.Data.ID
	if body.Type == "message.incoming" {
		told, key = l.incoming, body.Data.Text
	} else if l.seen[id] == 1 {
		l.states[body.Data.State]++
	}
	if told[key] == nil {
		told[key] = make(map[string]int)
	}
	told[key][id]++
	if body.Data.Refunded {
		l.refunded[key] = true
	}
	if rand.IntN(20) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (l *webhookLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

func (l *webhookLog) refunds() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.refunded)
}

// told gives what came, for as long as nothing more comes.
func (l *webhookLog) told() (reports, incoming map[string]map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reports, incoming = make(map[string]map[string]int), make(map[string]map[string]int)
	for id, d := range l.reports {
		reports[id] = maps.Clone(d)
	}
	for text, d := range l.incoming {
		incoming[text] = maps.Clone(d)
	}
	return reports, incoming
}

// process is a program that can be killed and started again.
type process struct {
	w    *world
	args []string
	cmd  *exec.Cmd
	out  bytes.Buffer
}

func (w *world) process(args ...string) *process {
	p := &process{w: w, args: args}
	w.Cleanup(func() {
		p.kill()
		if w.Failed() {
			text := p.out.String()
			w.Logf("%s said:\n%s", filepath.Base(args[0]), text[max(0, len(text)-8000):])
		}
	})
	return p
}

func (p *process) start() {
	p.w.Helper()
	if p.cmd != nil {
		return
	}
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	stdin, err := p.cmd.StdinPipe() // smscsim ends with it, and with us
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.w.Fatal(err)
	}
	_ = stdin
}

// kill ends it as a crash does.
func (p *process) kill() { p.end(os.Kill) }

// stop ends it as an operator does.
func (p *process) stop() { p.end(os.Interrupt) }

func (p *process) end(s os.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(s) // it may have gone by itself, which the test notices otherwise
	err := p.cmd.Wait()
	if s == os.Interrupt && err != nil {
		p.w.Errorf("%s ended with %v", p.args[0], err)
	}
	p.cmd = nil
}

func freePorts(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}
