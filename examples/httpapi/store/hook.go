package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Event is what a customer's server is told of.
type Event string

// The events. Sent and Buffered are told to the clients of Kannel's and Jasmin's doors alone, where they asked for them.
const (
	EventReport   Event = "report"
	EventSent     Event = "sent"
	EventBuffered Event = "buffered"
	EventIncoming Event = "incoming"
)

// HookState is how far a delivery is.
type HookState string

// The states of a delivery. A dead one is not tried again unless somebody orders it.
const (
	HookPending HookState = "pending"
	HookDone    HookState = "done"
	HookDead    HookState = "dead"
)

// Hook is one delivery to a customer's server.
type Hook struct {
	ID         string    `db:"id"`
	CustomerID string    `db:"customer_id"`
	MessageID  string    `db:"message_id"`
	Event      Event     `db:"event"`
	Style      string    `db:"style"`
	Method     string    `db:"method"`
	URL        string    `db:"url"`
	Body       string    `db:"body"`
	State      HookState `db:"state"`
	Attempts   int       `db:"attempts"`
	Next       int64     `db:"next_attempt"`
	LastError  string    `db:"last_error"`
	Created    int64     `db:"created"`
	Done       int64     `db:"done"`
	// Of the customer, where URL is empty.
	WebhookURL string `db:"webhook_url"`
	Secret     string `db:"webhook_secret"`
}

// Target is where it goes.
func (h *Hook) Target() string {
	if h.URL != "" {
		return h.URL
	}
	return h.WebhookURL
}

// tell queues what a message's sender is to be told of an event, if anything.
func (tx Tx) tell(ctx context.Context, m *Message, e Event) error {
	h := Hook{CustomerID: m.CustomerID, MessageID: m.ID, Event: e, Style: m.Style, Method: "POST"}
	switch {
	case m.Style == "kannel" && kannelType(m, e)&m.Mask != 0:
		h.Method, h.URL = "GET", kannelURL(m, kannelType(m, e), tx.now)
	case m.Style == "jasmin" && kannelType(m, e)&m.Mask != 0:
		values := jasminValues(m, e)
		if h.URL = m.URL; m.Post {
			h.Body = values.Encode()
		} else {
			h.Method, h.URL = "GET", withQuery(m.URL, values)
		}
	case m.Style == "" && e == EventReport:
		body, err := json.Marshal(hookBody{Type: "message.report", Time: Time(m.Done), Data: m.View()})
		if err != nil {
			return err
		}
		h.Body = string(body)
	default:
		return nil
	}
	return tx.insertHook(ctx, h)
}

func (tx Tx) tellIncoming(ctx context.Context, in Incoming) error {
	body, err := json.Marshal(hookBody{Type: "message.incoming", Time: Time(in.Received), Data: in.View()})
	if err != nil {
		return err
	}
	return tx.insertHook(ctx, Hook{CustomerID: in.CustomerID, MessageID: in.ID, Event: EventIncoming, Method: "POST", Body: string(body)})
}

type hookBody struct {
	Type string    `json:"type"`
	Time time.Time `json:"timestamp"`
	Data any       `json:"data"`
}

// insertHook queues a delivery, once for an event of a message, and only where there is a place for it.
func (tx Tx) insertHook(ctx context.Context, h Hook) error {
	var n int
	if err := tx.get(ctx, &n, "SELECT COUNT(*) FROM hook WHERE message_id = ? AND event = ?", h.MessageID, h.Event); err != nil || n > 0 {
		return err
	}
	if h.URL == "" {
		if err := tx.get(ctx, &h.WebhookURL, "SELECT webhook_url FROM customer WHERE id = ?", h.CustomerID); err != nil || h.WebhookURL == "" {
			return err
		}
	}
	if len(h.URL) > 3000 {
		return nil // its escapes made it longer than any server takes
	}
	_, err := tx.exec(ctx, "INSERT INTO hook (id, customer_id, message_id, event, style, method, url, body, state, next_attempt, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		newID(tx.now), h.CustomerID, h.MessageID, h.Event, h.Style, h.Method, h.URL, h.Body, HookPending, millis(tx.now), millis(tx.now))
	return err
}

// kannelType is the delivery report value of an event.
func kannelType(m *Message, e Event) int {
	switch {
	case e == EventSent:
		return MaskSent
	case e == EventBuffered:
		return MaskBuffered
	case m.State == Delivered:
		return MaskDelivered
	case m.Sent == 0 && m.State.Failed(): // it never left
		return MaskRejected
	}
	return MaskUndelivered
}

// kannelURL is a dlr-url with its escapes replaced (Kannel's user guide, table 7-10). Each is URL-encoded.
func kannelURL(m *Message, value int, now time.Time) string {
	p, _ := m.MI() // of what was not sent by us nothing is known
	text := m.Reason
	if text == "" {
		text = string(m.State)
	}
	when := now
	if m.Done != 0 {
		when = Time(m.Done)
	}
	first, _, _ := strings.Cut(m.SMSCIDs, ",")
	escapes := map[byte]string{
		'd': strconv.Itoa(value),
		'I': m.ID,
		'F': first,
		'p': m.Recipient, // a report comes from the phone
		'P': m.Sender,
		'q': strings.Replace(m.Recipient, "00", "+", min(1, strings.Count(m.Recipient[:min(2, len(m.Recipient))], "00"))),
		'Q': m.Sender,
		't': when.UTC().Format("2006-01-02 15:04"),
		'T': strconv.FormatInt(when.Unix(), 10),
		'a': text, 'A': text, 'N': text,
		'b': p.Text,
		'e': strings.ToUpper(hex.EncodeToString([]byte(p.Text))),
		'k': firstWord(p.Text),
		'i': "", 'D': "", 'B': "", 'o': "", 'f': "", 'x': "", 'u': "", 'v': "", 'V': "", 'm': "", 'M': "", 'O': "", 'r': "", 's': "", 'S': "",
		'c': "0", 'C': "UTF-8",
		'R': "", 'n': "",
	}
	var b strings.Builder
	for i := 0; i < len(m.URL); i++ {
		c := m.URL[i]
		if c == '%' && i+1 < len(m.URL) && !isHexPair(m.URL[i+1:]) {
			if value, ok := escapes[m.URL[i+1]]; ok {
				b.WriteString(url.QueryEscape(value))
				i++
				continue
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// isHexPair says that what stands behind a % is an octet of a URL and no escape of Kannel's.
func isHexPair(s string) bool {
	return len(s) >= 2 && strings.Trim(s[:2], "0123456789abcdefABCDEF") == ""
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return word
}

// jasminValues are the parameters of a Jasmin DLR (its HTTP API, 'Receiving DLR').
func jasminValues(m *Message, e Event) url.Values {
	v := url.Values{"id": {m.ID}, "connector": {"sipsmpp"}}
	if e == EventSent || m.Sent == 0 && m.State.Failed() {
		v.Set("level", "1")
		v.Set("message_status", "ESME_ROK")
		if e != EventSent {
			v.Set("message_status", "ESME_RSUBMITFAIL")
		}
		return v
	}
	stat := map[State]string{Delivered: "DELIVRD", Undeliverable: "UNDELIV", Expired: "EXPIRED", Rejected: "REJECTD", Deleted: "DELETED", Canceled: "DELETED"}[m.State]
	if stat == "" {
		stat = "UNKNOWN"
	}
	delivered := "000"
	if m.State == Delivered {
		delivered = "001"
	}
	first, _, _ := strings.Cut(m.SMSCIDs, ",")
	const date = "0601021504"
	v.Set("level", "2")
	v.Set("message_status", stat)
	v.Set("id_smsc", first)
	v.Set("subdate", Time(m.Created).Format(date))
	v.Set("donedate", Time(m.Done).Format(date))
	v.Set("sub", "001")
	v.Set("dlvrd", delivered)
	v.Set("err", m.Reason)
	p, _ := m.MI() // a message that cannot be read has no text
	v.Set("text", string([]rune(p.Text)[:min(20, len([]rune(p.Text)))]))
	return v
}

func withQuery(address string, values url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + values.Encode()
	}
	return address + "?" + values.Encode()
}

// hooksWithPlace joins a hook with the customer's webhook.
const hooksWithPlace = "SELECT h.*, c.webhook_url, c.webhook_secret FROM hook h JOIN customer c ON c.id = h.customer_id "

// DueHooks gives up to limit deliveries whose time has come, of other customers than those.
func (db *DB) DueHooks(ctx context.Context, limit int, except []string) (list []Hook, err error) {
	where, args := "WHERE h.state = ? AND h.next_attempt <= ?", []any{HookPending, millis(db.now())}
	if len(except) > 0 {
		where += " AND h.customer_id NOT IN (?" + strings.Repeat(", ?", len(except)-1) + ")"
		for _, id := range except {
			args = append(args, id)
		}
	}
	return list, db.list(ctx, &list, hooksWithPlace+where+" ORDER BY h.next_attempt, h.id LIMIT ?", append(args, limit)...)
}

// TakeHooks writes down that deliveries are tried, so that one that is made again after a crash has the number 2, and puts their next
// attempt off by lease. It gives those that no other process took.
func (db *DB) TakeHooks(ctx context.Context, due []Hook, lease time.Duration) (taken []Hook, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx Tx) error {
		taken = nil
		for _, h := range due {
			n, err := tx.exec(ctx, "UPDATE hook SET attempts = attempts + 1, next_attempt = ? WHERE id = ? AND state = ? AND next_attempt = ?",
				millis(tx.now.Add(lease)), h.ID, HookPending, h.Next)
			if err != nil {
				return err
			}
			if n == 1 {
				h.Attempts++
				taken = append(taken, h)
			}
		}
		return nil
	})
	return taken, err
}

// HookTold says that a delivery is done.
func (db *DB) HookTold(ctx context.Context, id string) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		_, err := tx.exec(ctx, "UPDATE hook SET state = ?, done = ?, last_error = '' WHERE id = ?", HookDone, millis(tx.now), id)
		return err
	})
}

// HookFailed says that an attempt failed, and when the next one is; with none the delivery is dead.
func (db *DB) HookFailed(ctx context.Context, id, reason string, wait time.Duration) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		state := HookPending
		if wait == 0 {
			state = HookDead
		}
		_, err := tx.exec(ctx, "UPDATE hook SET state = ?, last_error = ?, next_attempt = ? WHERE id = ? AND state = ?",
			state, clip(reason, 500), millis(tx.now.Add(wait)), id, HookPending)
		return err
	})
}

// Hooks gives a page of deliveries in a state, the newest first; an empty customer is all.
func (db *DB) Hooks(ctx context.Context, customer string, state HookState, before string, limit int) (list []Hook, err error) {
	where, args := "WHERE h.state = ?", []any{state}
	for _, c := range []struct{ condition, value string }{{"h.customer_id = ?", customer}, {"h.id < ?", before}} {
		if c.value != "" {
			where += " AND " + c.condition
			args = append(args, c.value)
		}
	}
	return list, db.list(ctx, &list, hooksWithPlace+where+" ORDER BY h.id DESC LIMIT ?", append(args, limit)...)
}

// RetryHook orders a dead delivery again; an empty id is all of the customer's.
func (db *DB) RetryHook(ctx context.Context, customer, id string) (n int64, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx Tx) error {
		query, args := "UPDATE hook SET state = ?, next_attempt = ? WHERE customer_id = ? AND state = ?", []any{HookPending, millis(tx.now), customer, HookDead}
		if id != "" {
			query += " AND id = ?"
			args = append(args, id)
		}
		var err error
		n, err = tx.exec(ctx, query, args...)
		if err == nil && n == 0 && id != "" {
			err = fmt.Errorf("dead delivery %s: %w", id, ErrNotFound)
		}
		return err
	})
	return n, err
}
