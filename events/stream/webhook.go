package stream

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sipsmpp/events"
)

// Webhooks post the events of durable subscriptions to their URLs, in order: one request at a time for each, with all events that
// gathered, and the next once it was answered with success. Whatever else comes of it, the same events are posted again, later and
// later.
type Webhooks struct {
	durables *events.Durables
	log      *slog.Logger
	client   *http.Client
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	wait     sync.WaitGroup

	allow func(url string) error

	mu     sync.Mutex
	served map[*events.Durable]bool
}

// The bounds of a webhook.
const (
	webhookTimeout  = 10 * time.Second // until its answer is read
	webhookBatch    = 100              // events in a request
	webhookOctets   = 256 << 10        // the same; one event alone may be longer
	webhookAnswer   = 64 << 10         // of an answer that is read, so that the connection serves again
	webhookPause    = time.Second      // after the first failure; it doubles up to webhookPauseMax
	webhookPauseMax = 5 * time.Minute
	// secretMin keeps the signature from being guessed.
	secretMin, secretMax = 16, 200
)

// The errors of Subscribe, beside those of Durables.Put and the URL's.
var (
	ErrWebhookSecret = fmt.Errorf("want a secret of %d to %d characters, by which the receiver checks the signature", secretMin, secretMax)
	ErrNoDurables    = errors.New("this gateway keeps no durable subscriptions")
)

// NewWebhooks serves the webhooks that there are already. allow says why one may not post to a URL; Close ends them. Without durable
// subscriptions (nil) there can be none.
func NewWebhooks(durables *events.Durables, allow func(url string) error, log *slog.Logger) *Webhooks {
	w := &Webhooks{durables: durables, allow: allow, log: log, served: make(map[*events.Durable]bool)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 16 << 10
	w.client = &http.Client{
		Transport: transport,
		Timeout:   webhookTimeout,
		// Where it leads was not allowed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if durables != nil {
		for _, d := range durables.All() {
			if d.Spec().URL != "" {
				w.serve(d)
			}
		}
	}
	return w
}

// Subscribe makes a webhook, or changes the one of that name.
func (w *Webhooks) Subscribe(ctx context.Context, spec events.Spec) error {
	if w.durables == nil {
		return ErrNoDurables
	}
	if err := w.allow(spec.URL); err != nil {
		return err
	}
	if len(spec.Secret) < secretMin || len(spec.Secret) > secretMax {
		return ErrWebhookSecret
	}
	d, err := w.durables.Put(ctx, spec)
	if err != nil {
		return err
	}
	w.serve(d)
	return nil
}

// serve posts the events of a webhook until it is ended, or Close is called.
func (w *Webhooks) serve(d *events.Durable) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.served[d] || w.ctx.Err() != nil {
		return
	}
	session, err := d.Take("webhook", events.MaxWindow)
	if err != nil {
		return // it has just been ended
	}
	w.served[d] = true
	w.wait.Go(func() {
		w.run(d, session)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.served, d)
	})
}

func (w *Webhooks) run(d *events.Durable, session *events.Session) {
	defer session.Close()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	w.wait.Go(func() {
		select {
		case <-session.Ended():
			cancel() // an attempt that is under way, too
		case <-ctx.Done():
		}
	})
	pause := webhookPause
	for {
		entries, err := session.Next(ctx)
		for err == nil && len(entries) > 0 {
			batch := entries[:batchOf(entries)]
			var again time.Duration
			if again, err = w.post(ctx, d.Spec(), batch); err == nil {
				err = session.Ack(batch[len(batch)-1].Seq)
				entries, pause = entries[len(batch):], webhookPause
				d.Failed("", time.Time{})
				continue
			}
			if ctx.Err() != nil {
				break
			}
			err = w.rest(ctx, d, max(again, pause), err)
			pause = min(2*pause, webhookPauseMax)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil || session.Cause() != nil:
			return
		default: // the database
			if w.rest(ctx, d, pause, err) != nil {
				return
			}
			pause = min(2*pause, webhookPauseMax)
		}
	}
}

// rest waits for the next attempt, and lets it be seen why.
func (w *Webhooks) rest(ctx context.Context, d *events.Durable, pause time.Duration, reason error) error {
	pause = pause/2 + rand.N(pause/2)
	d.Failed(reason.Error(), time.Now().Add(pause))
	w.log.Warn("a webhook did not take its events; they are posted again", "subscription", d.Spec().Name, "error", reason, "retry_in", pause)
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batchOf is how many of the events go into one request.
func batchOf(entries []events.Entry) int {
	octets := 0
	for i, e := range entries {
		if octets += len(e.JSON); i == webhookBatch || i > 0 && octets > webhookOctets {
			return i
		}
	}
	return len(entries)
}

// post posts events, and gives an error unless the receiver said that it has them. again is how long it asks to be left alone.
func (w *Webhooks) post(ctx context.Context, spec events.Spec, batch []events.Entry) (again time.Duration, err error) {
	if err := w.allow(spec.URL); err != nil { // not any more
		return 0, err
	}
	body := []byte{'['}
	var names []string
	for i, e := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e.JSON...)
		if name := e.Name(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	body = append(body, ']')
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, spec.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	header := request.Header
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "sipsmpp")
	header.Set("Sipsmpp-Subscription", spec.Name)
	header.Set("Sipsmpp-Event", strings.Join(names, ","))
	header.Set("Sipsmpp-Seq", strconv.FormatUint(batch[len(batch)-1].Seq, 10))
	header.Set("Sipsmpp-Timestamp", now)
	header.Set("Sipsmpp-Signature", "sha256="+Signature(spec.Secret, now, body))
	response, err := w.client.Do(request)
	if err != nil {
		return 0, withoutURL(err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, webhookAnswer) // what it says does not matter
	switch {
	case response.StatusCode >= 200 && response.StatusCode < 300:
		return 0, nil
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return 0, fmt.Errorf("it answered %s: redirects are not followed, subscribe the URL itself", response.Status)
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 { // RFC 9110, 10.2.3
		again = min(time.Duration(seconds)*time.Second, 2*webhookPauseMax)
	}
	return again, fmt.Errorf("it answered %s", response.Status)
}

// withoutURL is an error of a request without the URL that it names, in whose query a secret may be: people and logs see it.
func withoutURL(err error) error {
	if named := new(url.Error); errors.As(err, &named) {
		return named.Err
	}
	return err
}

// Signature is the HMAC-SHA256 (RFC 2104) of a webhook's request, hexadecimal: over the timestamp as its header has it, a full stop,
// and the body.
func Signature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Close ends every webhook and waits for it. What was not acknowledged is posted at the next start.
func (w *Webhooks) Close() {
	w.mu.Lock()
	w.stop()
	w.mu.Unlock()
	w.wait.Wait()
	w.client.CloseIdleConnections()
}
