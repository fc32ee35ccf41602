// Package route decides where a message goes.
//
// It is a pure lookup: it opens nothing, waits for nothing and allocates nothing for a message. Whether a target is ready is
// not its business; the caller tries the targets in order.
package route

import "sipsmpp/gateway/sms"

// Decision is the route of one message. Its slice is shared: it must not be changed.
type Decision struct {
	Rule    string    // what decided, for people: the name of a rule, `default`, or `asked for`
	Targets []sms.Leg // to try in order; none: no route
}

// Table decides by defaults: what came from SIP or the MI goes to the default connection, what came from SMPP goes to SIP, and
// a sender that names a connection gets that one.
type Table struct {
	toSMPP, toSIP Decision
	asked         map[string]Decision
}

// New makes a table. connection is the default one, "" for none; connections are the names that a sender may ask for.
func New(connection string, connections []string) *Table {
	t := &Table{
		toSIP: Decision{Rule: "default", Targets: []sms.Leg{sms.SIP}},
		asked: make(map[string]Decision, len(connections)),
	}
	if connection != "" {
		t.toSMPP = Decision{Rule: "default", Targets: []sms.Leg{sms.Connection(connection)}}
	}
	for _, name := range connections {
		t.asked[name] = Decision{Rule: "asked for", Targets: []sms.Leg{sms.Connection(name)}}
	}
	return t
}

// Decide gives the route of a message, without targets if there is none.
func (t *Table) Decide(m *sms.Message) Decision {
	if m.Connection != "" {
		return t.asked[m.Connection]
	}
	switch m.Ingress.Kind {
	case sms.LegSIP, sms.LegMI:
		return t.toSMPP
	case sms.LegConnection, sms.LegAccount:
		return t.toSIP
	}
	return Decision{}
}
