package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sipsmpp/examples/httpapi/segment"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/mi"
)

// draft is a message to send, whichever door it came by.
type draft struct {
	From     string
	To       []string
	SendAt   time.Time
	Ref      string
	Params   mi.MessageSendParams // what is said and how; without sender and recipient
	Callback store.Callback
}

var (
	numberOrName = regexp.MustCompile(`^(\+?[0-9]{1,20}|[A-Za-z0-9][A-Za-z0-9._-]{0,63})$`)
	senderForm   = regexp.MustCompile(`^(\+?[0-9]{1,20}|[ -~]{1,11})$`)
)

// farthest is how far ahead a message may be scheduled.
const farthest = 90 * 24 * time.Hour

// prepare checks a draft and makes a message for each recipient. Its errors are problems, or of our own.
func (a *API) prepare(ctx context.Context, c store.Customer, d draft) ([]store.Message, error) {
	if d.From == "" {
		d.From = c.DefaultSender
	}
	switch {
	case d.From == "":
		return nil, badField("from", "there is no default: name a sender")
	case !senderForm.MatchString(d.From):
		return nil, badField("from", "want a number, or a name of at most 11 characters")
	case len(d.To) == 0:
		return nil, badField("to", "want a recipient")
	case len(d.To) > a.options.MaxRecipients:
		return nil, badField("to", fmt.Sprintf("%d recipients, the most is %d", len(d.To), a.options.MaxRecipients))
	case len(d.Ref) > 200:
		return nil, badField("ref", "longer than 200 octets")
	case !d.SendAt.IsZero() && time.Until(d.SendAt) > farthest:
		return nil, badField("send_at", "farther ahead than 90 days")
	}
	if d.From != c.DefaultSender {
		allowed, err := a.db.Senders(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if !store.MaySendFrom(allowed, d.From) {
			return nil, newProblem(http.StatusForbidden, "sender_not_allowed", fmt.Sprintf("you may not send from %q", d.From))
		}
	}
	segments, err := a.segments(d.Params)
	if err != nil {
		return nil, err
	}
	params, err := json.Marshal(d.Params)
	if err != nil {
		return nil, err
	}
	var messages []store.Message
	for _, to := range d.To {
		if !numberOrName.MatchString(to) {
			return nil, badField("to", fmt.Sprintf("%.40q is no number: write it as +4915112345678", to))
		}
		price, err := a.db.PriceTo(ctx, c, to)
		if err != nil {
			return nil, err
		}
		m := store.Message{Sender: d.From, Recipient: to, Params: string(params), ClientRef: d.Ref, Segments: segments, Price: price * store.Amount(segments), Callback: d.Callback}
		if !d.SendAt.IsZero() {
			m.SendAt = d.SendAt.UnixMilli()
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// segments counts what is charged for, and checks the content.
func (a *API) segments(p mi.MessageSendParams) (int, error) {
	var n int
	switch {
	case p.Text == "" && len(p.Data) == 0:
		return 0, badField("text", "want text or data")
	case p.Text != "" && len(p.Data) > 0:
		return 0, badField("data", "want text or data, not both")
	case !utf8.ValidString(p.Text):
		return 0, badField("text", "it is not UTF-8")
	case len(p.Data) > 0:
		n = segment.CountOctets(len(p.Data), len(p.UDH))
	case p.Coding == "ucs2":
		n = segment.CountUCS2(p.Text)
	case p.Coding == "latin1" || p.Coding == "ascii":
		n = segment.CountOctets(utf8.RuneCountInString(p.Text), len(p.UDH))
	default:
		n, _ = segment.Count(p.Text)
	}
	if n > a.options.MaxSegments {
		return 0, badField("text", fmt.Sprintf("it takes %d segments, the most is %d", n, a.options.MaxSegments))
	}
	return n, nil
}

// accept charges and queues messages that were prepared.
func (a *API) accept(ctx context.Context, r store.Request) (answer []byte, replayed bool, err error) {
	if wait := a.throughput.take(r.Customer.ID, len(r.Messages), float64(r.Customer.Throughput)); wait > 0 {
		return nil, false, tooFast(wait)
	}
	answer, replayed, err = a.db.Accept(ctx, r)
	if err == nil {
		a.queued()
	}
	return answer, replayed, err
}

// recipients are one or many.
type recipients []string

// UnmarshalJSON reads a string or a list of strings.
func (r *recipients) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*r = recipients{one}
		return nil
	}
	var many []string
	if json.Unmarshal(b, &many) != nil {
		return badField("to", "want a number or a list of numbers")
	}
	*r = many
	return nil
}

type postBody struct {
	From     string     `json:"from"`
	To       recipients `json:"to"`
	Text     string     `json:"text"`
	Data     mi.Hex     `json:"data"`
	UDH      mi.Hex     `json:"udh"`
	Coding   string     `json:"coding"`
	Class    *uint8     `json:"class"`
	SendAt   time.Time  `json:"send_at"`
	Validity uint32     `json:"validity"`
	Ref      string     `json:"ref"`
}

type postAnswer struct {
	Messages []store.MessageView `json:"messages"`
	Price    store.Amount        `json:"price"`
	Currency string              `json:"currency"`
}

var codings = []string{"", "auto", "gsm7", "latin1", "ascii", "ucs2"}

func (a *API) postMessages(r *request) (any, error) {
	raw, err := r.body()
	if err != nil {
		return nil, err
	}
	var body postBody
	if err := decode(raw, &body); err != nil {
		return nil, err
	}
	key := r.Header.Get("Idempotency-Key")
	switch {
	case len(key) > 200:
		return nil, badField("Idempotency-Key", "longer than 200 octets")
	case !slices.Contains(codings, body.Coding):
		return nil, badField("coding", "want auto, gsm7, latin1, ascii or ucs2")
	case body.Class != nil && *body.Class > 3:
		return nil, badField("class", "want 0 (flash) to 3")
	}
	params := mi.MessageSendParams{Text: body.Text, Data: body.Data, UDH: body.UDH, Coding: body.Coding, Class: body.Class, Validity: body.Validity}
	if len(body.Data) > 0 {
		binary := uint8(4) // SMPP 3.4, 5.2.19: octets
		params.DataCoding = &binary
	}
	messages, err := a.prepare(r.Context(), r.customer, draft{From: body.From, To: body.To, SendAt: body.SendAt, Ref: body.Ref, Params: params})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	answer, replayed, err := a.accept(r.Context(), store.Request{
		Customer: r.customer, Key: key, Fingerprint: hex.EncodeToString(sum[:]), Messages: messages,
		Answer: func(accepted []store.Message) ([]byte, error) {
			answer := postAnswer{Currency: a.options.Currency}
			for _, m := range accepted {
				answer.Messages = append(answer.Messages, m.View())
				answer.Price += m.Price
			}
			return json.Marshal(answer)
		},
	})
	if replayed {
		r.w.Header().Set("Idempotency-Replayed", "true")
	}
	return answer, err
}

func (a *API) getMessage(r *request) (any, error) {
	m, err := a.db.Message(r.Context(), r.customer.ID, r.PathValue("id"))
	return m.View(), err
}

func (a *API) cancelMessage(r *request) (any, error) {
	m, err := a.db.Cancel(r.Context(), r.customer.ID, r.PathValue("id"))
	if errors.Is(err, store.ErrExists) {
		err = newProblem(http.StatusConflict, "too_late", "it was sent, or it ended: only what waits for its time can be canceled")
	}
	return m.View(), err
}

type messageList struct {
	Messages []store.MessageView `json:"messages"`
	Next     string              `json:"next"`
}

const maxPage = 500

// page reads limit and before.
func (r *request) page() (limit int, before string, err error) {
	limit = 50
	if s := r.URL.Query().Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxPage {
			return 0, "", badField("limit", fmt.Sprintf("want 1 to %d", maxPage))
		}
	}
	return limit, r.URL.Query().Get("before"), nil
}

func (a *API) listMessages(r *request) (any, error) {
	limit, before, err := r.page()
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	state := store.State(q.Get("state"))
	if state != "" && !slices.Contains(states, state) {
		return nil, badField("state", "want one of "+strings.Join(stateNames(), ", "))
	}
	list, err := a.db.Messages(r.Context(), r.customer.ID, store.Page{Before: before, State: state, To: q.Get("to"), Limit: limit})
	result := messageList{Messages: make([]store.MessageView, len(list))}
	for i := range list {
		result.Messages[i] = list[i].View()
	}
	if len(list) == limit {
		result.Next = list[limit-1].ID
	}
	return result, err
}

var states = []store.State{store.Queued, store.Submitted, store.Delivered, store.Undeliverable, store.Expired, store.Rejected, store.Deleted,
	store.Unknown, store.Canceled}

func stateNames() []string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return names
}

type incomingList struct {
	Messages []store.IncomingView `json:"messages"`
	Next     string               `json:"next"`
}

func (a *API) listIncoming(r *request) (any, error) {
	limit, before, err := r.page()
	if err != nil {
		return nil, err
	}
	list, err := a.db.IncomingPage(r.Context(), r.customer.ID, before, limit)
	result := incomingList{Messages: make([]store.IncomingView, len(list))}
	for i := range list {
		result.Messages[i] = list[i].View()
	}
	if len(list) == limit {
		result.Next = list[limit-1].ID
	}
	return result, err
}

type balance struct {
	Balance  store.Amount `json:"balance"`
	Credit   store.Amount `json:"credit"`
	Currency string       `json:"currency"`
}

func (a *API) getBalance(r *request) (any, error) {
	return balance{r.customer.Balance, r.customer.Credit, a.options.Currency}, nil
}
