// Package hook tells customers' servers what happened to their messages, and what came in for them.
//
// A delivery is in the database until the server answered it with 2xx; each attempt is written down before it is made. So every delivery
// arrives at least once, and one that may have arrived before says so: its webhook-attempt is above 1, and its webhook-id is the same.
// Attempts come at growing intervals; after the last the delivery is dead, which customers and operators can see and order again.
//
// A slow server holds up its own customer alone: each has a few attempts at a time, and one that fails is left alone for a while.
package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"sipsmpp/examples/httpapi/store"
)

const (
	perCustomer = 8   // attempts at the same time to one customer's server
	page        = 256 // deliveries that are read at once
	maxAnswer   = 4 << 10
	// failures after which a customer's server is left alone for a while, which grows from the first pause to the last.
	failures   = 3
	firstPause = 2 * time.Second
	lastPause  = time.Minute
)

// Schedule are the delays between attempts: about three days.
var Schedule = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour,
	6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour}

// Options are a Deliverer's. The zero value has defaults.
type Options struct {
	Private  bool            // lets servers be called that are not on the Internet
	Timeout  time.Duration   // of an attempt; 10 s
	Schedule []time.Duration // Schedule unless given
	Parallel int             // attempts at the same time; 64
	Poll     time.Duration   // how often the database is looked at; 250 ms
}

// Deliverer makes the deliveries. Run does the work.
type Deliverer struct {
	db      *store.DB
	log     *slog.Logger
	options Options
	client  *http.Client

	mu        sync.Mutex
	customers map[string]*standing
}

// standing is how a customer's server is doing.
type standing struct {
	busy     int
	failed   int // in a row
	resumeAt time.Time
}

// New makes a Deliverer.
func New(db *store.DB, log *slog.Logger, o Options) *Deliverer {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Schedule == nil {
		o.Schedule = Schedule
	}
	if o.Parallel <= 0 {
		o.Parallel = 64
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	return &Deliverer{db: db, log: log, options: o, client: client(o.Private, o.Timeout), customers: make(map[string]*standing)}
}

// Run makes deliveries until ctx ends, and for what is under way then.
func (d *Deliverer) Run(ctx context.Context) {
	defer d.client.CloseIdleConnections()
	free := d.options.Parallel
	done := make(chan struct{}, d.options.Parallel)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		taken, err := d.take(ctx, free)
		if err != nil && ctx.Err() == nil {
			d.log.Error("what is to be delivered cannot be read", "error", err)
		}
		free -= len(taken)
		for _, h := range taken {
			running.Go(func() {
				d.deliver(context.WithoutCancel(ctx), &h)
				done <- struct{}{}
			})
		}
		wait := time.NewTimer(d.options.Poll)
		select {
		case <-done:
			free++
			for more := true; more; { // and all that ended with it
				select {
				case <-done:
					free++
				default:
					more = false
				}
			}
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
		wait.Stop()
	}
}

// take claims deliveries whose time has come, as many as may be made now.
func (d *Deliverer) take(ctx context.Context, free int) ([]store.Hook, error) {
	if free == 0 || ctx.Err() != nil {
		return nil, nil
	}
	due, err := d.db.DueHooks(ctx, page, d.held())
	if err != nil {
		return nil, err
	}
	var chosen []store.Hook
	for _, h := range due {
		if len(chosen) < free && d.enter(h.CustomerID) {
			chosen = append(chosen, h)
		}
	}
	if chosen == nil {
		return nil, nil
	}
	taken, err := d.db.TakeHooks(ctx, chosen, d.options.Timeout*3/2+time.Second)
	claimed := make(map[string]bool, len(taken))
	for _, h := range taken {
		claimed[h.ID] = true
	}
	for _, h := range chosen {
		if !claimed[h.ID] {
			d.leave(h.CustomerID, nil, false)
		}
	}
	return taken, err
}

// held are the customers whose servers get nothing more now.
func (d *Deliverer) held() (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for id, s := range d.customers {
		switch {
		case s.busy >= s.room(now):
			list = append(list, id)
		case s.busy == 0 && s.failed == 0:
			delete(d.customers, id)
		}
	}
	return list
}

// room is how many attempts a server may have at a time: one, to see, after it was left alone.
func (s *standing) room(now time.Time) int {
	switch {
	case s.failed < failures:
		return perCustomer
	case now.Before(s.resumeAt):
		return 0
	}
	return 1
}

func (d *Deliverer) enter(customer string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.customers[customer]
	if s == nil {
		s = new(standing)
		d.customers[customer] = s
	}
	if s.busy >= s.room(time.Now()) {
		return false
	}
	s.busy++
	return true
}

// leave says that an attempt ended; was made says that there was one.
func (d *Deliverer) leave(customer string, err error, wasMade bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.customers[customer]
	s.busy--
	switch {
	case !wasMade:
	case err == nil:
		s.failed = 0
	default:
		s.failed++
		if over := s.failed - failures; over >= 0 {
			s.resumeAt = time.Now().Add(min(firstPause<<min(over, 10), lastPause))
		}
	}
}

// deliver makes one attempt and writes down what came of it.
func (d *Deliverer) deliver(ctx context.Context, h *store.Hook) {
	err := d.attempt(ctx, h)
	d.leave(h.CustomerID, err, true)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var written error
	switch {
	case err == nil:
		written = d.db.HookTold(ctx, h.ID)
	case h.Attempts > len(d.options.Schedule):
		d.log.Warn("a delivery is dead", "hook", h.ID, "customer", h.CustomerID, "attempts", h.Attempts, "error", err)
		written = d.db.HookFailed(ctx, h.ID, err.Error(), 0)
	default:
		wait := d.options.Schedule[h.Attempts-1]
		written = d.db.HookFailed(ctx, h.ID, err.Error(), wait*9/10+rand.N(wait/5+1))
	}
	if written != nil {
		d.log.Error("what became of a delivery cannot be written down; it is made again", "hook", h.ID, "error", written)
	}
}

// jasminACK is what a server of Jasmin's clients answers.
const jasminACK = "ACK/Jasmin"

func (d *Deliverer) attempt(ctx context.Context, h *store.Hook) error {
	if h.Target() == "" {
		return errors.New("there is no webhook")
	}
	request, err := http.NewRequestWithContext(ctx, h.Method, h.Target(), strings.NewReader(h.Body))
	if err != nil {
		return err
	}
	now := time.Now()
	request.Header.Set("User-Agent", "sipsmpp-httpapi")
	request.Header.Set("webhook-id", h.ID)
	request.Header.Set("webhook-attempt", strconv.Itoa(h.Attempts))
	switch h.Style {
	case "":
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		request.Header.Set("webhook-signature", Sign(h.Secret, h.ID, now, []byte(h.Body)))
	case "jasmin":
		if h.Method == http.MethodPost {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	response, err := d.client.Do(request)
	if named := new(url.Error); errors.As(err, &named) {
		return named.Err // without the URL: numbers and texts may be in it, and the log has none
	}
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // the status has come: what follows is for people
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s: %.200q", response.Status, answer)
	}
	if h.Style == "jasmin" && strings.TrimSpace(string(answer)) != jasminACK {
		return fmt.Errorf("it answered %s, but not %s: %.200q", response.Status, jasminACK, answer)
	}
	return nil
}
