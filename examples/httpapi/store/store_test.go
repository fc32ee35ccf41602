package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/examples/httpapi/store"
	"sipsmpp/examples/httpapi/storetest"
	"sipsmpp/mi"
)

func customer(t *testing.T, db *store.DB, name, balance string) store.Customer {
	t.Helper()
	amount, err := store.ParseAmount(balance)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.AddCustomer(t.Context(), store.Customer{Name: name, Balance: amount, Throughput: 10, WebhookURL: "http://127.0.0.1:1/hook"}); err != nil {
		t.Fatal(err)
	}
	c, err := db.CustomerByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func draft(to string, price store.Amount) store.Message {
	params, _ := json.Marshal(mi.MessageSendParams{Text: "Grüße € 👋"})
	return store.Message{Sender: "100", Recipient: to, Params: string(params), Segments: 1, Price: price}
}

func accept(t *testing.T, db *store.DB, c store.Customer, key string, messages ...store.Message) ([]store.Message, bool, error) {
	t.Helper()
	accepted := messages
	_, replayed, err := db.Accept(t.Context(), store.Request{Customer: c, Key: key, Fingerprint: fmt.Sprint(len(messages)), Messages: messages,
		Answer: func(m []store.Message) ([]byte, error) {
			accepted = m
			return json.Marshal(m[0].ID)
		}})
	return accepted, replayed, err
}

func balance(t *testing.T, db *store.DB, c store.Customer) string {
	t.Helper()
	now, err := db.Customer(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return now.Balance.String()
}

// A message from acceptance to its end, what it costs and what is told of it.
func TestLife(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		c := customer(t, db, "acme", "1.00")
		m, _, err := accept(t, db, c, "", draft("+491", 50_000), draft("+492", 50_000))
		if err != nil {
			t.Fatal(err)
		}
		if got := balance(t, db, c); got != "0.90" {
			t.Errorf("after two messages: %s", got)
		}
		if _, _, err := accept(t, db, c, "", draft("+493", 900_001)); !errors.Is(err, store.ErrBalance) {
			t.Errorf("beyond the balance: %v", err)
		}
		if list, err := db.Messages(ctx, c.ID, store.Page{Limit: 10}); err != nil || len(list) != 2 {
			t.Errorf("%d messages, %v: one that was not paid for was kept", len(list), err)
		}

		due, err := db.Due(ctx, store.Queued, 10, time.Minute)
		if err != nil || len(due) != 2 || due[0].Attempts != 1 {
			t.Fatalf("due: %+v, %v", due, err)
		}
		if again, err := db.Due(ctx, store.Queued, 10, time.Minute); err != nil || len(again) != 0 {
			t.Errorf("what is under way is due: %+v, %v", again, err)
		}
		p, err := due[0].MI()
		if err != nil || p.Text != "Grüße € 👋" || p.IdempotencyKey != due[0].ID || p.Ref != due[0].ID || p.Receipt != mi.ReceiptFinal {
			t.Errorf("for the gateway: %+v, %v", p, err)
		}
		if err := db.Took(ctx, m[0].ID, "gw1", time.Hour); err != nil {
			t.Fatal(err)
		}
		end := store.Ending{State: store.Undeliverable, Reason: "069", SMSCIDs: []string{"77", "78"}, Refund: true, Left: true}
		for i, want := range []bool{true, false} {
			if ended, err := db.End(ctx, m[0].ID, end); err != nil || ended != want {
				t.Errorf("end %d: %t, %v", i, ended, err)
			}
		}
		if got := balance(t, db, c); got != "0.95" {
			t.Errorf("after one refund: %s", got)
		}
		// A report is faster than the answer to the call that sent it.
		if _, err := db.End(ctx, m[1].ID, store.Ending{State: store.Delivered, Left: true}); err != nil {
			t.Fatal(err)
		}
		if err := db.Took(ctx, m[1].ID, "gw2", time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Message(ctx, c.ID, m[1].ID); err != nil || got.State != store.Delivered || got.GatewayID != "gw2" || got.Refunded {
			t.Errorf("got %+v, %v", got, err)
		}
		hooks, err := db.DueHooks(ctx, 10, nil)
		if err != nil || len(hooks) != 2 {
			t.Fatalf("hooks: %+v, %v", hooks, err)
		}
		var body struct {
			Type string
			Data store.MessageView
		}
		if err := json.Unmarshal([]byte(hooks[0].Body), &body); err != nil || body.Type != "message.report" || body.Data.ID != m[0].ID ||
			body.Data.State != "undeliverable" || !body.Data.Refunded || body.Data.Text != "Grüße € 👋" {
			t.Errorf("told %s, %v", hooks[0].Body, err)
		}
		if _, err := db.Message(ctx, "another", m[0].ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another customer reads it: %v", err)
		}
	})
}

func TestIdempotency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c, other := customer(t, db, "acme", "1.00"), customer(t, db, "other", "1.00")
		var wait sync.WaitGroup
		var mu sync.Mutex
		fresh := 0
		for range 20 {
			wait.Go(func() {
				_, replayed, err := accept(t, db, c, "k1", draft("+491", 10_000))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if !replayed {
					fresh++
				}
			})
		}
		wait.Wait()
		if got := balance(t, db, c); fresh != 1 || got != "0.99" {
			t.Errorf("%d of 20 with the same key were new, balance %s", fresh, got)
		}
		if _, _, err := accept(t, db, c, "k1", draft("+491", 1), draft("+492", 1)); !errors.Is(err, store.ErrReused) {
			t.Errorf("another request with the key: %v", err)
		}
		if _, replayed, err := accept(t, db, other, "k1", draft("+491", 1)); err != nil || replayed {
			t.Errorf("another customer's key: %t, %v", replayed, err)
		}
	})
}

// Changes share a transaction, and one that fails takes nobody with it.
func TestWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := customer(t, db, "acme", "0")
		var wait sync.WaitGroup
		for i := range 60 {
			wait.Go(func() {
				if i%3 == 0 {
					bad := draft(strings.Repeat("9", 1), 1)
					_, _, err := db.Accept(t.Context(), store.Request{Customer: c, Messages: []store.Message{bad}, Answer: func([]store.Message) ([]byte, error) {
						return nil, errors.New("no answer")
					}})
					if err == nil {
						t.Error("a change that failed was made")
					}
					return
				}
				if err := db.Pay(t.Context(), c.ID, 1, "test"); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if got := balance(t, db, c); got != "0.00004" {
			t.Errorf("after 40 payments of 0.000001: %s", got)
		}
		if err := db.Write(t.Context(), func(context.Context, store.Tx) error { panic("x") }); err == nil || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("got %v", err)
		}
	})
}

func TestHooks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		c := customer(t, db, "acme", "1")
		if err := db.SetNumber(ctx, c.ID, "+4930"); err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{true, false} { // the second is the same event again
			err := db.Write(ctx, func(ctx context.Context, tx store.Tx) error {
				stored, err := tx.Receive(ctx, store.Incoming{ID: "in1", Sender: "+491", Recipient: "+4930", Body: "hello 👋", Received: 1})
				if stored != want {
					t.Errorf("%d: stored %t", i, stored)
				}
				return errors.Join(err, tx.SetFollowed(ctx, "s", uint64(i+1)))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if seq, err := db.Followed(ctx, "s"); err != nil || seq != 2 {
			t.Errorf("followed to %d, %v", seq, err)
		}
		due, err := db.DueHooks(ctx, 10, nil)
		if err != nil || len(due) != 1 {
			t.Fatalf("got %+v, %v", due, err)
		}
		if held, err := db.DueHooks(ctx, 10, []string{"x", c.ID}); err != nil || len(held) != 0 {
			t.Errorf("held: %+v, %v", held, err)
		}
		taken, err := db.TakeHooks(ctx, due, time.Minute)
		if err != nil || len(taken) != 1 || taken[0].Attempts != 1 || taken[0].Secret == "" {
			t.Fatalf("took %+v, %v", taken, err)
		}
		if twice, err := db.TakeHooks(ctx, due, time.Minute); err != nil || len(twice) != 0 {
			t.Errorf("took it twice: %+v, %v", twice, err)
		}
		if err := db.HookFailed(ctx, due[0].ID, "refused", 0); err != nil {
			t.Fatal(err)
		}
		dead, err := db.Hooks(ctx, c.ID, store.HookDead, "", 10)
		if err != nil || len(dead) != 1 || dead[0].LastError != "refused" {
			t.Errorf("dead: %+v, %v", dead, err)
		}
		if _, err := db.RetryHook(ctx, "another", due[0].ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another customer ordered it: %v", err)
		}
		if n, err := db.RetryHook(ctx, c.ID, ""); err != nil || n != 1 {
			t.Errorf("retry: %d, %v", n, err)
		}
		if due, err = db.DueHooks(ctx, 10, nil); err != nil || len(due) != 1 || due[0].Attempts != 1 {
			t.Errorf("after retry: %+v, %v", due, err)
		}
		if err := db.HookTold(ctx, due[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := db.Forget(ctx, time.Hour, time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		if done, err := db.Hooks(ctx, "", store.HookDone, "", 10); err != nil || len(done) != 1 {
			t.Errorf("forgotten too early: %+v, %v", done, err)
		}
		if err := db.Forget(ctx, -time.Hour, -time.Hour, -time.Hour); err != nil {
			t.Fatal(err)
		}
		if in, err := db.IncomingPage(ctx, c.ID, "", 10); err != nil || len(in) != 0 {
			t.Errorf("not forgotten: %+v, %v", in, err)
		}
		if done, err := db.Hooks(ctx, "", store.HookDone, "", 10); err != nil || len(done) != 0 {
			t.Errorf("not forgotten: %+v, %v", done, err)
		}
	})
}

func TestCustomers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		c := customer(t, db, "acme", "1")
		if _, err := db.AddCustomer(ctx, store.Customer{Name: "acme"}); !errors.Is(err, store.ErrExists) {
			t.Errorf("twice: %v", err)
		}
		key, err := db.AddKey(ctx, c.ID, "test", []store.Right{store.MaySend})
		if err != nil {
			t.Fatal(err)
		}
		found, k, err := db.ByKey(ctx, key)
		if err != nil || found.ID != c.ID || !k.May(store.MaySend) || k.May(store.MayRead) {
			t.Errorf("by key: %+v %+v %v", found, k, err)
		}
		if keys, err := db.Keys(ctx, c.ID); err != nil || len(keys) != 1 || strings.Contains(fmt.Sprint(keys), key) {
			t.Errorf("keys %v, %v", keys, err)
		}
		c.Enabled = false
		if err := db.SetCustomer(ctx, c); err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.ByKey(ctx, key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a disabled customer: %v", err)
		}
		c.Enabled = true
		if err := errors.Join(db.SetCustomer(ctx, c), db.RevokeKey(ctx, k.ID)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.ByKey(ctx, key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a revoked key: %v", err)
		}
		if err := errors.Join(db.SetSender(ctx, c.ID, "Acme", true), db.SetSender(ctx, c.ID, "+4930*", true)); err != nil {
			t.Fatal(err)
		}
		allowed, err := db.Senders(ctx, c.ID)
		for sender, want := range map[string]bool{"Acme": true, "acme": false, "+49301": true, "+4940": false, "Acm": false} {
			if store.MaySendFrom(allowed, sender) != want {
				t.Errorf("%s: want %t (%v, %v)", sender, want, allowed, err)
			}
		}
		for _, p := range []struct {
			customer, prefix string
			amount           store.Amount
		}{{store.Everybody, "+49", 70}, {c.ID, "+49", 60}, {store.Everybody, "+49151", 90}, {store.Everybody, "", 5}} {
			if err := db.SetPrice(ctx, p.customer, p.prefix, p.amount); err != nil {
				t.Fatal(err)
			}
		}
		for number, want := range map[string]store.Amount{"+4930": 60, "+491511": 90, "+33": 5, "100": 5} {
			if got, err := db.PriceTo(ctx, c, number); err != nil || got != want {
				t.Errorf("price to %s: %d, %v, want %d", number, got, err, want)
			}
		}
	})
}

func TestCancel(t *testing.T) {
	db := storetest.Open(t)
	c := customer(t, db, "acme", "1")
	later := draft("+491", 100_000)
	later.SendAt = time.Now().Add(time.Hour).UnixMilli()
	m, _, err := accept(t, db, c, "", later)
	if err != nil {
		t.Fatal(err)
	}
	if due, err := db.Due(t.Context(), store.Queued, 10, time.Minute); err != nil || len(due) != 0 {
		t.Errorf("due before its time: %+v, %v", due, err)
	}
	got, err := db.Cancel(t.Context(), c.ID, m[0].ID)
	if err != nil || got.State != store.Canceled || balance(t, db, c) != "1.00" {
		t.Errorf("%+v, %v, balance %s", got, err, balance(t, db, c))
	}
	if _, err := db.Cancel(t.Context(), c.ID, m[0].ID); !errors.Is(err, store.ErrExists) {
		t.Errorf("twice: %v", err)
	}
}

func TestAmount(t *testing.T) {
	for s, want := range map[string]string{"1": "1.00", "0.0075": "0.0075", "-12.5": "-12.50", "0.000001": "0.000001", "12.345678": "12.345678"} {
		if a, err := store.ParseAmount(s); err != nil || a.String() != want {
			t.Errorf("%s: %s, %v, want %s", s, a, err, want)
		}
	}
	for _, s := range []string{"", ".5", "1.0000001", "1e3", "--1", "1,5", "99999999999999999999", "+1"} {
		if a, err := store.ParseAmount(s); err == nil {
			t.Errorf("%q is %s", s, a)
		}
	}
}

// What Kannel's and Jasmin's clients are told, by the escapes and parameters of their documentation.
func TestCallbacks(t *testing.T) {
	db := storetest.Open(t)
	c := customer(t, db, "acme", "1")
	told := func(cb store.Callback, events func(tx store.Tx, ctx context.Context, id string) error) []store.Hook {
		t.Helper()
		d := draft("+4915112345678", 0)
		d.Callback = cb
		m, _, err := accept(t, db, c, "", d)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx store.Tx) error { return events(tx, ctx, m[0].ID) }); err != nil {
			t.Fatal(err)
		}
		all, err := db.Hooks(t.Context(), c.ID, store.HookPending, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var list []store.Hook
		for _, h := range all {
			if h.MessageID == m[0].ID {
				list = append(list, h)
			}
		}
		return list
	}
	sentAndEnded := func(state store.State) func(tx store.Tx, ctx context.Context, id string) error {
		return func(tx store.Tx, ctx context.Context, id string) error {
			if err := tx.Progress(ctx, id, store.EventSent, []string{"4711"}); err != nil {
				return err
			}
			_, err := tx.End(ctx, id, store.Ending{State: state, SMSCIDs: []string{"4711"}, Reason: "000", Left: true, Done: time.Unix(1_700_000_000, 0)})
			return err
		}
	}
	// The example of Kannel's user guide, chapter 'SMS Delivery Reports'.
	hooks := told(store.Callback{Style: "kannel", URL: "http://www.xyz.com/cgi/dlr.php?myId=123456&type=%d&from=%p&id=%F&t=%T", Mask: 7}, sentAndEnded(store.Delivered))
	if len(hooks) != 1 || hooks[0].Method != "GET" || hooks[0].URL != "http://www.xyz.com/cgi/dlr.php?myId=123456&type=1&from=%2B4915112345678&id=4711&t=1700000000" {
		t.Errorf("told %+v", hooks)
	}
	if hooks := told(store.Callback{Style: "kannel", URL: "http://x/?%d", Mask: 31}, sentAndEnded(store.Undeliverable)); len(hooks) != 2 ||
		hooks[0].URL+hooks[1].URL != "http://x/?2http://x/?8" && hooks[0].URL+hooks[1].URL != "http://x/?8http://x/?2" {
		t.Errorf("told %+v", hooks)
	}
	if hooks := told(store.Callback{Style: "kannel", URL: "http://x/?%d", Mask: 2}, sentAndEnded(store.Delivered)); len(hooks) != 0 {
		t.Errorf("told what was not asked for: %+v", hooks)
	}
	hooks = told(store.Callback{Style: "jasmin", URL: "http://myserver/acknowledgement", Mask: store.MaskDelivered, Post: true}, sentAndEnded(store.Delivered))
	if len(hooks) != 1 || hooks[0].Method != "POST" {
		t.Fatalf("told %+v", hooks)
	}
	v, err := url.ParseQuery(hooks[0].Body)
	if err != nil || v.Get("message_status") != "DELIVRD" || v.Get("id_smsc") != "4711" || v.Get("level") != "2" || v.Get("donedate") != "2311142213" || v.Get("id") == "" {
		t.Errorf("told %s, %v", hooks[0].Body, err)
	}
	rejected := func(tx store.Tx, ctx context.Context, id string) error {
		_, err := tx.End(ctx, id, store.Ending{State: store.Rejected})
		return err
	}
	hooks = told(store.Callback{Style: "jasmin", URL: "http://x/?a=b", Mask: store.MaskSent | store.MaskRejected}, rejected)
	if len(hooks) != 1 || hooks[0].Method != "GET" || !strings.HasPrefix(hooks[0].URL, "http://x/?a=b&") || !strings.Contains(hooks[0].URL, "message_status=ESME_RSUBMITFAIL") {
		t.Errorf("told %+v", hooks)
	}
}
