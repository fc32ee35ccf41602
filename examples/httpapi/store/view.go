package store

import "time"

// MessageView is a message as customers see it.
type MessageView struct {
	ID       string     `json:"id"`
	From     string     `json:"from"`
	To       string     `json:"to"`
	Text     string     `json:"text,omitempty"`
	Data     string     `json:"data,omitempty"`
	Ref      string     `json:"ref,omitempty"`
	State    string     `json:"state"`
	Reason   string     `json:"reason,omitempty"`
	Segments int        `json:"segments"`
	Price    Amount     `json:"price"`
	Refunded bool       `json:"refunded"`
	Created  time.Time  `json:"created"`
	SendAt   *time.Time `json:"send_at,omitempty"`
	Done     *time.Time `json:"done,omitempty"`
}

// View is the message as customers see it. One that waits for its time is scheduled.
func (m *Message) View() MessageView {
	p, _ := m.MI() // a message that cannot be read has no text
	v := MessageView{ID: m.ID, From: m.Sender, To: m.Recipient, Text: p.Text, Ref: m.ClientRef, State: string(m.State),
		Segments: m.Segments, Price: m.Price, Refunded: m.Refunded, Created: Time(m.Created)}
	if len(p.Data) > 0 {
		data, _ := p.Data.MarshalText() // never fails
		v.Data = string(data)
	}
	if m.SendAt > m.Created {
		at := Time(m.SendAt)
		v.SendAt = &at
		if m.State == Queued && m.Attempts == 0 {
			v.State = "scheduled"
		}
	}
	if m.State.Final() { // until then the reason is of our last attempt, which is our affair
		done := Time(m.Done)
		if v.Done = &done; m.State != Delivered {
			v.Reason = m.Reason
		}
	}
	return v
}

// IncomingView is an incoming message as customers see it.
type IncomingView struct {
	ID       string    `json:"id"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Text     string    `json:"text,omitempty"`
	Data     string    `json:"data,omitempty"`
	Received time.Time `json:"received"`
}

// View is the message as customers see it.
func (in Incoming) View() IncomingView {
	return IncomingView{ID: in.ID, From: in.Sender, To: in.Recipient, Text: in.Body, Data: in.Data, Received: Time(in.Received)}
}
