package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sipsmpp/mi"
)

// State is how far a message is.
type State string

// The states. A message is queued until the gateway took it, submitted until it is known what became of it, and then ends in one of the
// others.
const (
	Queued        State = "queued"
	Submitted     State = "submitted"
	Delivered     State = "delivered"
	Undeliverable State = "undeliverable"
	Expired       State = "expired"
	Rejected      State = "rejected" // by the gateway or by the network
	Deleted       State = "deleted"
	Unknown       State = "unknown"  // no report came in time, or it says that nobody knows
	Canceled      State = "canceled" // by the customer, before it was sent
)

// Final says that a message ends in this state.
func (s State) Final() bool { return s != Queued && s != Submitted }

// Failed says that the message did not arrive.
func (s State) Failed() bool {
	return slices.Contains([]State{Undeliverable, Expired, Rejected, Deleted, Canceled}, s)
}

// Message is a message to send, once for each recipient.
type Message struct {
	ID         string `db:"id"`
	CustomerID string `db:"customer_id"`
	Sender     string `db:"sender"`
	Recipient  string `db:"recipient"`
	Params     string `db:"params"`
	ClientRef  string `db:"client_ref"`
	Segments   int    `db:"segments"`
	Price      Amount `db:"price"`
	Refunded   bool   `db:"refunded"`
	State      State  `db:"state"`
	Reason     string `db:"reason"`
	GatewayID  string `db:"gateway_id"`
	SMSCIDs    string `db:"smsc_ids"`
	Created    int64  `db:"created"`
	SendAt     int64  `db:"send_at"`
	Attempts   int    `db:"attempts"`
	Next       int64  `db:"next_attempt"`
	Sent       int64  `db:"submitted"`
	Done       int64  `db:"done"`
	Callback
}

// Callback is where a Kannel or Jasmin client is told of its message.
type Callback struct {
	Style string `db:"report_style"` // kannel, jasmin; empty: the customer's webhook
	URL   string `db:"report_url"`
	Mask  int    `db:"report_mask"` // Kannel's dlr-mask; of Jasmin's levels what corresponds
	Post  bool   `db:"report_post"`
}

// The bits of a Callback's Mask, which are Kannel's.
const (
	MaskDelivered   = 1
	MaskUndelivered = 2
	MaskBuffered    = 4
	MaskSent        = 8
	MaskRejected    = 16
)

// MI is the message as the gateway gets it. Its id there is the key by which a second attempt is known to be the same message.
func (m *Message) MI() (mi.MessageSendParams, error) {
	var p mi.MessageSendParams
	err := json.Unmarshal([]byte(m.Params), &p)
	p.From, p.To, p.Ref, p.IdempotencyKey, p.Receipt = m.Sender, m.Recipient, m.ID, m.ID, mi.ReceiptFinal
	if m.Style == "kannel" && m.Mask&MaskBuffered != 0 {
		p.Receipt = mi.ReceiptAll
	}
	return p, err
}

// Request is a request to send, as it came in.
type Request struct {
	Customer Customer
	Key      string // Idempotency-Key; empty: none
	// Fingerprint tells two requests with the same key apart.
	Fingerprint string
	Messages    []Message // without ids
	// Answer makes the answer, which is kept for a repetition.
	Answer func([]Message) ([]byte, error)
}

// Accept charges a customer for messages and queues them, all or none. With a key that was used before it does nothing and gives the
// answer of that time, replayed says so. It fails with ErrBalance, or with ErrReused where the request of that time was another one.
func (db *DB) Accept(ctx context.Context, r Request) (answer []byte, replayed bool, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx Tx) error {
		answer, replayed = nil, false
		if r.Key != "" {
			var before struct {
				Fingerprint string `db:"fingerprint"`
				Answer      string `db:"answer"`
			}
			err := tx.get(ctx, &before, "SELECT fingerprint, answer FROM request WHERE customer_id = ? AND request_key = ?", r.Customer.ID, r.Key)
			switch {
			case err == nil && before.Fingerprint != r.Fingerprint:
				return ErrReused
			case err == nil:
				answer, replayed = []byte(before.Answer), true
				return nil
			case !errors.Is(err, ErrNotFound):
				return err
			}
		}
		var total Amount
		for i := range r.Messages {
			m := &r.Messages[i]
			m.ID, m.CustomerID, m.State, m.Created = newID(tx.now), r.Customer.ID, Queued, millis(tx.now)
			m.SendAt = max(m.SendAt, m.Created)
			m.Next = m.SendAt
			total += m.Price
			if err := tx.insertMessage(ctx, m); err != nil {
				return err
			}
		}
		if err := tx.charge(ctx, r.Customer.ID, total, r.Messages); err != nil {
			return err
		}
		var err error
		if answer, err = r.Answer(r.Messages); err != nil || r.Key == "" {
			return err
		}
		_, err = tx.exec(ctx, "INSERT INTO request (customer_id, request_key, fingerprint, answer, created) VALUES (?, ?, ?, ?, ?)",
			r.Customer.ID, r.Key, r.Fingerprint, string(answer), millis(tx.now))
		return err
	})
	return answer, replayed, err
}

// charge takes an amount off a balance that must allow it.
func (tx Tx) charge(ctx context.Context, customer string, total Amount, messages []Message) error {
	if total > 0 {
		n, err := tx.exec(ctx, "UPDATE customer SET balance = balance - ? WHERE id = ? AND balance + credit >= ?", total, customer, total)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrBalance
		}
	}
	for _, m := range messages {
		if m.Price == 0 {
			continue
		}
		if _, err := tx.exec(ctx, "INSERT INTO ledger (id, customer_id, message_id, amount, reason, created) VALUES (?, ?, ?, ?, ?, ?)",
			newID(tx.now), customer, m.ID, -m.Price, fmt.Sprintf("%d segments to %s", m.Segments, m.Recipient), m.Created); err != nil {
			return err
		}
	}
	return nil
}

func (tx Tx) insertMessage(ctx context.Context, m *Message) error {
	_, err := tx.exec(ctx, `INSERT INTO message (id, customer_id, sender, recipient, params, client_ref, segments, price, state, created, send_at, next_attempt,
		report_style, report_url, report_mask, report_post) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ID, m.CustomerID, m.Sender, m.Recipient, m.Params, m.ClientRef, m.Segments, m.Price, m.State, m.Created, m.SendAt, m.Next,
		m.Style, m.URL, m.Mask, asInt(m.Post))
	return err
}

// Message finds a customer's message.
func (db *DB) Message(ctx context.Context, customer, id string) (m Message, err error) {
	return m, db.get(ctx, &m, "SELECT * FROM message WHERE customer_id = ? AND id = ?", customer, id)
}

// Page chooses from a customer's messages, the newest first.
type Page struct {
	Before string // the last id of the page before; empty: the first page
	State  State  // empty: all
	To     string // empty: all
	Limit  int
}

// Messages gives one page.
func (db *DB) Messages(ctx context.Context, customer string, p Page) (list []Message, err error) {
	where, args := "customer_id = ?", []any{customer}
	for _, c := range []struct{ condition, value string }{{"id < ?", p.Before}, {"state = ?", string(p.State)}, {"recipient = ?", p.To}} {
		if c.value != "" {
			where += " AND " + c.condition
			args = append(args, c.value)
		}
	}
	return list, db.list(ctx, &list, "SELECT * FROM message WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, p.Limit)...)
}

// Due gives up to limit messages in a state whose time has come, and puts their next attempt off by lease, within which the caller is
// to tell what became of it.
func (db *DB) Due(ctx context.Context, state State, limit int, lease time.Duration) (list []Message, err error) {
	due := "state = ? AND next_attempt <= ?"
	var any []string // most of the time there are none, and nothing is to be written
	if err := db.list(ctx, &any, "SELECT id FROM message WHERE "+due+" LIMIT 1", state, millis(db.now())); err != nil || any == nil {
		return nil, err
	}
	err = db.Write(ctx, func(ctx context.Context, tx Tx) error {
		list = nil
		if err := tx.list(ctx, &list, "SELECT * FROM message WHERE "+due+" ORDER BY next_attempt, id LIMIT ?", state, millis(tx.now), limit); err != nil {
			return err
		}
		taken := list[:0]
		for _, m := range list {
			n, err := tx.exec(ctx, "UPDATE message SET next_attempt = ?, attempts = attempts + 1 WHERE id = ? AND state = ? AND next_attempt = ?",
				millis(tx.now.Add(lease)), m.ID, state, m.Next)
			if err != nil {
				return err
			}
			if n == 1 { // another process may have been faster
				m.Attempts++
				taken = append(taken, m)
			}
		}
		list = taken
		return nil
	})
	return list, err
}

// Took says that the gateway has a message, under its own id. Unless a report was faster, what became of it is asked for after a while.
func (db *DB) Took(ctx context.Context, id, gatewayID string, ask time.Duration) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.exec(ctx, "UPDATE message SET gateway_id = ? WHERE id = ?", gatewayID, id); err != nil {
			return err
		}
		_, err := tx.exec(ctx, "UPDATE message SET state = ?, submitted = ?, next_attempt = ?, reason = '' WHERE id = ? AND state = ?",
			Submitted, millis(tx.now), millis(tx.now.Add(ask)), id, Queued)
		return err
	})
}

// Later puts an attempt off.
func (db *DB) Later(ctx context.Context, id string, wait time.Duration, reason string) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		_, err := tx.exec(ctx, "UPDATE message SET next_attempt = ?, reason = ? WHERE id = ? AND state IN (?, ?)",
			millis(tx.now.Add(wait)), clip(reason, 500), id, Queued, Submitted)
		return err
	})
}

// AskAll lets what became of every submitted message be asked for, spread over a time: events were lost.
func (tx Tx) AskAll(ctx context.Context) error {
	_, err := tx.exec(ctx, "UPDATE message SET next_attempt = ? WHERE state = ?", millis(tx.now), Submitted)
	return err
}

// Ending is how a message ends.
type Ending struct {
	State   State
	Reason  string   // for people; of a report its error
	SMSCIDs []string // of its segments, where known
	Done    time.Time
	Refund  bool
	Left    bool // the gateway sent it, though its answer may not have come yet
}

// End ends a message, unless it has ended: it refunds what is to be refunded and queues what its sender is to be told. It says whether
// this was the end.
func (tx Tx) End(ctx context.Context, id string, e Ending) (bool, error) {
	if e.Done.IsZero() {
		e.Done = tx.now
	}
	n, err := tx.exec(ctx, "UPDATE message SET state = ?, reason = ?, done = ?, smsc_ids = ? WHERE id = ? AND state IN (?, ?)",
		e.State, clip(e.Reason, 500), millis(e.Done), clip(strings.Join(e.SMSCIDs, ","), 1000), id, Queued, Submitted)
	if err != nil || n == 0 {
		return false, err
	}
	if e.Left {
		if _, err := tx.exec(ctx, "UPDATE message SET submitted = ? WHERE id = ? AND submitted = 0", millis(tx.now), id); err != nil {
			return false, err
		}
	}
	var m Message
	if err := tx.get(ctx, &m, "SELECT * FROM message WHERE id = ?", id); err != nil {
		return false, err
	}
	if e.Refund && m.Price > 0 {
		if _, err := tx.exec(ctx, "UPDATE message SET refunded = 1 WHERE id = ?", id); err != nil {
			return false, err
		}
		if err := tx.pay(ctx, m.CustomerID, m.ID, m.Price, "refund: "+string(e.State)); err != nil {
			return false, err
		}
		m.Refunded = true
	}
	return true, tx.tell(ctx, &m, EventReport)
}

// End is Tx.End alone.
func (db *DB) End(ctx context.Context, id string, e Ending) (ended bool, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		ended, err = tx.End(ctx, id, e)
		return err
	})
	return ended, err
}

// Cancel ends a customer's message that was not handed to the gateway yet.
func (db *DB) Cancel(ctx context.Context, customer, id string) (m Message, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.get(ctx, &m, "SELECT * FROM message WHERE customer_id = ? AND id = ?", customer, id); err != nil {
			return err
		}
		if m.State != Queued || m.Attempts > 0 {
			return ErrExists
		}
		if _, err := tx.End(ctx, id, Ending{State: Canceled, Refund: true}); err != nil {
			return err
		}
		return tx.get(ctx, &m, "SELECT * FROM message WHERE id = ?", id)
	})
	return m, err
}

// Progress tells a Kannel or Jasmin client of a message that is under way; e is EventSent or EventBuffered.
func (tx Tx) Progress(ctx context.Context, id string, e Event, smscIDs []string) error {
	var m Message
	if err := tx.get(ctx, &m, "SELECT * FROM message WHERE id = ?", id); err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil // not of ours
		}
		return err
	}
	if m.SMSCIDs == "" {
		m.SMSCIDs = strings.Join(smscIDs, ",")
	}
	return tx.tell(ctx, &m, e)
}

// Incoming is a message to one of a customer's numbers.
type Incoming struct {
	ID         string `db:"id"`
	CustomerID string `db:"customer_id"`
	Sender     string `db:"sender"`
	Recipient  string `db:"recipient"`
	Body       string `db:"body"`
	Data       string `db:"data"`
	Received   int64  `db:"received"`
}

// Receive stores an incoming message for the customer whose number it is to, and queues it for the webhook. It says whether it is
// somebody's, and new.
func (tx Tx) Receive(ctx context.Context, in Incoming) (bool, error) {
	err := tx.get(ctx, &in.CustomerID, "SELECT customer_id FROM assigned_number WHERE address = ?", in.Recipient)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var n int
	if err := tx.get(ctx, &n, "SELECT COUNT(*) FROM incoming WHERE id = ?", in.ID); err != nil || n > 0 {
		return false, err
	}
	if _, err := tx.exec(ctx, "INSERT INTO incoming (id, customer_id, sender, recipient, body, data, received) VALUES (?, ?, ?, ?, ?, ?, ?)",
		in.ID, in.CustomerID, in.Sender, in.Recipient, in.Body, in.Data, in.Received); err != nil {
		return false, err
	}
	return true, tx.tellIncoming(ctx, in)
}

// IncomingPage gives a page of a customer's incoming messages, the newest first.
func (db *DB) IncomingPage(ctx context.Context, customer, before string, limit int) (list []Incoming, err error) {
	if before == "" {
		before = "~" // behind every id
	}
	return list, db.list(ctx, &list, "SELECT * FROM incoming WHERE customer_id = ? AND id < ? ORDER BY id DESC LIMIT ?", customer, before, limit)
}

// Followed is the last event of a subscription that is done.
func (db *DB) Followed(ctx context.Context, subscription string) (seq uint64, err error) {
	err = db.get(ctx, &seq, "SELECT seq FROM followed WHERE subscription = ?", subscription)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return seq, err
}

// SetFollowed remembers it, in the transaction that did what the events ask for.
func (tx Tx) SetFollowed(ctx context.Context, subscription string, seq uint64) error {
	n, err := tx.exec(ctx, "UPDATE followed SET seq = ? WHERE subscription = ?", int64(seq), subscription)
	if err != nil || n > 0 {
		return err
	}
	_, err = tx.exec(ctx, "INSERT INTO followed (subscription, seq) VALUES (?, ?)", subscription, int64(seq))
	return err
}

// Forget drops what is older than the times that are kept: answers to idempotent requests, deliveries that are done or dead, and
// messages that ended and those that came in. The ledger stays.
func (db *DB) Forget(ctx context.Context, requests, hooks, messages time.Duration) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.exec(ctx, "DELETE FROM request WHERE created < ?", millis(tx.now.Add(-requests))); err != nil {
			return err
		}
		// The order of ids is the order of time.
		if _, err := tx.exec(ctx, "DELETE FROM hook WHERE state <> ? AND id < ?", HookPending, newID(tx.now.Add(-hooks))); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "DELETE FROM message WHERE state NOT IN (?, ?) AND id < ?", Queued, Submitted, newID(tx.now.Add(-messages))); err != nil {
			return err
		}
		_, err := tx.exec(ctx, "DELETE FROM incoming WHERE received < ?", millis(tx.now.Add(-messages)))
		return err
	})
}
