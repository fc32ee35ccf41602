package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Notification is an event as a subscriber reads it off the wire.
type Notification struct {
	Seq   uint64
	Time  time.Time
	Node  string
	Event Event // one of the declared types, as a value; Raised for what is not declared
	// Params is all of `params` as it came, seq, time and node with it.
	Params json.RawMessage
}

// ErrNotification is what Parse's errors are.
var ErrNotification = errors.New("not the notification of an event")

// Parse reads one JSON-RPC notification. A type of event that is not declared here (an application's, or a newer gateway's)
// comes as Raised, whose MarshalJSON gives all of its parameters.
func Parse(data []byte) (Notification, error) {
	var wire struct {
		Method string
		ID     json.RawMessage
		Params json.RawMessage
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return Notification{}, fmt.Errorf("%w: %w", ErrNotification, err)
	}
	if wire.Method == "" || wire.ID != nil {
		return Notification{}, fmt.Errorf("%w: it wants a method and no id", ErrNotification)
	}
	return Decode(wire.Method, wire.Params)
}

// Decode reads an event of its name and parameters, as Parse does.
func Decode(name string, params []byte) (Notification, error) {
	var stamp struct {
		Seq  uint64
		Time time.Time
		Node string
	}
	if err := json.Unmarshal(params, &stamp); err != nil {
		return Notification{}, fmt.Errorf("%w: %s: %w", ErrNotification, name, err)
	}
	n := Notification{Seq: stamp.Seq, Time: stamp.Time, Node: stamp.Node, Params: params}
	if d, ok := Lookup(name); ok {
		var err error
		if n.Event, err = d.decode(params); err != nil {
			return Notification{}, fmt.Errorf("%w: %s: %w", ErrNotification, name, err)
		}
		return n, nil
	}
	n.Event = Raised{name: name, params: params}
	return n, nil
}
