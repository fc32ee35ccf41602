package sip

import (
	"cmp"
	"container/heap"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
)

var errBadPath = errors.New("a Path is no SIP URI")

// ContactChange is what became of one contact.
type ContactChange struct {
	Contact sms.Contact
	New     bool   // it is reached there from now on: it was not there, or elsewhere
	Gone    string // why it is no contact any more; empty: it is one
}

// Why a contact is gone.
const (
	goneByItself = "the user agent unregistered"
	goneExpired  = "the registration expired"
	goneClosed   = "its connection was closed"
	goneReplaced = "a newer contact took its place"
	goneUser     = "the user was disabled or deleted"
	goneByHand   = "it was deleted"
)

// contact is one that is in use.
type contact struct {
	sms.Contact
	uri   sip.Uri
	hop   *hop
	flow  *stream // the connection that it came by, by which it is reached; nil: it is not bound to one
	place int     // in registrar.due
}

// registrar knows where the users of table sip_user are reached (RFC 3261, 10.3). What it knows is kept by the Handler.
type registrar struct {
	e   *Endpoint
	ids *sms.IDs

	numbers atomic.Pointer[map[string][]string] // a number or name without its '+' -> the names of its users

	mu    sync.Mutex
	users map[string][]*contact        // by the name of their user
	flows map[*stream]map[*contact]any // those bound to a connection
	due   expiring                     // all of them
}

func newRegistrar(e *Endpoint) *registrar {
	r := &registrar{
		e: e, ids: sms.NewIDs(), users: make(map[string][]*contact), flows: make(map[*stream]map[*contact]any),
	}
	r.numbers.Store(&map[string][]string{})
	return r
}

// setUsers says whose contacts there may be.
func (r *registrar) setUsers(users map[string]*sms.SIPUser) {
	numbers := make(map[string][]string, 2*len(users))
	for name, u := range users {
		for _, a := range u.Addresses() {
			if !slices.Contains(numbers[a.Value], name) {
				numbers[a.Value] = append(numbers[a.Value], name)
			}
		}
	}
	for _, names := range numbers {
		slices.Sort(names)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers.Store(&numbers)
	var changes []ContactChange
	for name, list := range r.users {
		if users[name] == nil {
			for _, c := range slices.Clone(list) {
				changes = append(changes, r.drop(c, goneUser))
			}
		}
	}
	r.tell(changes, nil)
}

// usersOf gives the names of the users whose number it is. Nil: nobody's.
func (r *registrar) usersOf(to sms.Address) []string {
	if r == nil {
		return nil
	}
	return (*r.numbers.Load())[to.Value]
}

// count is how many contacts there are.
func (r *registrar) count() int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.due)
}

// ways gives how the contacts of users are reached, in the order to try them.
func (r *registrar) ways(users []string, now time.Time) [][]way {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*contact
	for _, name := range users {
		for _, c := range r.users[name] {
			if now.Before(c.Expires) {
				all = append(all, c)
			}
		}
	}
	groups := group(all)
	ways := make([][]way, len(groups))
	for i, g := range groups {
		for _, c := range g {
			ways[i] = append(ways[i], way{uri: withoutHeaders(c.URI), route: c.Path, hop: c.hop})
		}
	}
	return ways
}

// put makes c a contact, or notes what changed about it.
func (r *registrar) put(c *contact) {
	if list := r.users[c.User]; slices.Contains(list, c) {
		heap.Fix(&r.due, c.place)
	} else {
		r.users[c.User] = append(list, c)
		heap.Push(&r.due, c)
	}
	if c.flow != nil {
		if r.flows[c.flow] == nil {
			r.flows[c.flow] = make(map[*contact]any)
		}
		r.flows[c.flow][c] = nil
		c.flow.keep(c.Expires)
	}
}

// unbind parts a contact from its connection, which is kept open for as long as somebody is registered by it.
func (r *registrar) unbind(c *contact) {
	if c.flow == nil {
		return
	}
	if delete(r.flows[c.flow], c); len(r.flows[c.flow]) == 0 {
		delete(r.flows, c.flow)
		c.flow.letGo()
	}
	c.flow = nil
}

// drop ends a contact.
func (r *registrar) drop(c *contact, reason string) ContactChange {
	r.unbind(c)
	list := slices.DeleteFunc(r.users[c.User], func(other *contact) bool { return other == c })
	if r.users[c.User] = list; len(list) == 0 {
		delete(r.users, c.User)
	}
	heap.Remove(&r.due, c.place)
	return ContactChange{Contact: c.Contact, Gone: reason}
}

// tell tells the Handler, with the lock held, so that it hears of changes in their order.
func (r *registrar) tell(changes []ContactChange, done func(error)) {
	if len(changes) > 0 || done != nil {
		r.e.handler.ContactsChanged(changes, done)
	}
}

// lost is told that a connection was closed. Who registered by it is reached no more, unless it has an address of its own that it
// takes connections at.
func (r *registrar) lost(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var changes []ContactChange
	for c := range r.flows[s] {
		r.unbind(c)
		if c.hop = r.e.wayByTCP(c); c.hop == nil {
			changes = append(changes, r.drop(c, goneClosed))
		}
	}
	r.tell(changes, nil)
}

// sweep drops what has expired, until the endpoint is closed.
func (r *registrar) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			r.expire(now)
		case <-r.e.ctx.Done():
			return
		}
	}
}

func (r *registrar) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var changes []ContactChange
	for len(r.due) > 0 && !now.Before(r.due[0].Expires) {
		changes = append(changes, r.drop(r.due[0], goneExpired))
	}
	r.tell(changes, nil)
}

// expiring are contacts as container/heap orders them: the first that expires on top.
type expiring []*contact

func (x expiring) Len() int           { return len(x) }
func (x expiring) Less(i, j int) bool { return x[i].Expires.Before(x[j].Expires) }
func (x expiring) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].place, x[j].place = i, j
}

// Push and Pop are container/heap's.
func (x *expiring) Push(c any) {
	c.(*contact).place = len(*x)
	*x = append(*x, c.(*contact))
}

func (x *expiring) Pop() any {
	last := len(*x) - 1
	c := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	return c
}

// RestoreContacts takes the contacts that were kept, before Start, and gives those that are none any more: they have expired, or
// their user is gone, or the connection that they were reached by.
func (e *Endpoint) RestoreContacts(list []sms.Contact) (gone []sms.Contact) {
	r, now, users := e.registrar, time.Now(), *e.users.Load()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, kept := range list {
		c := &contact{Contact: kept}
		if users[c.User] == nil || !now.Before(c.Expires) || sip.ParseUri(c.URI, &c.uri) != nil {
			gone = append(gone, kept)
			continue
		}
		by, source, _ := strings.Cut(c.Received, ":")
		from, err := netip.ParseAddrPort(source)
		switch {
		case err != nil:
		case c.Path != "":
			c.hop, err = e.wayByPath(c.Path)
		case by == byUDP.String():
			c.hop, err = e.wayByUDP(c, from, e.socketNamed(c.Local))
		case by == byTCP.String():
			c.hop = e.wayByTCP(c)
		}
		if c.hop == nil || err != nil {
			gone = append(gone, kept)
			continue
		}
		r.put(c)
	}
	return gone
}

// Registrar says that users may register here.
func (e *Endpoint) Registrar() bool { return e.registrar != nil }

// Contacts gives where users are reached, by their names and in the order in which they registered. user "" is all.
func (e *Endpoint) Contacts(user string) []sms.Contact {
	r := e.registrar
	if r == nil {
		return nil
	}
	var all []sms.Contact
	r.mu.Lock()
	list := []*contact(r.due)
	if user != "" {
		list = r.users[user]
	}
	for _, c := range list {
		all = append(all, c.Contact)
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b sms.Contact) int {
		return cmp.Or(cmp.Compare(a.User, b.User), a.Since.Compare(b.Since), cmp.Compare(a.URI, b.URI))
	})
	return all
}

// ContactsFor says whose number it is, and where those users are reached: where a message to SIP goes. Nobody's: the next hops
// have it.
func (e *Endpoint) ContactsFor(to sms.Address) (users []string, contacts []sms.Contact) {
	users = e.registrar.usersOf(to)
	for _, name := range users {
		contacts = append(contacts, e.Contacts(name)...)
	}
	return users, contacts
}

// DropContacts ends the contacts of a user, or the one that uri names, and says how many. done is told once that they are not
// kept any more.
func (e *Endpoint) DropContacts(user, uri string, done func(error)) int {
	r := e.registrar
	if r == nil {
		done(nil)
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var changes []ContactChange
	for _, c := range slices.Clone(r.users[user]) {
		if uri == "" || uri == c.URI || uri == c.ID.String() {
			changes = append(changes, r.drop(c, goneByHand))
		}
	}
	r.tell(changes, done)
	return len(changes)
}

// wayTo is how a contact is reached whose REGISTER came from there: through the proxies that say so, else where it came from, be it
// the contact's address or its NAT's (RFC 3581, RFC 5626). What the Contact itself says counts for nobody who could point us at
// others.
func (e *Endpoint) wayTo(c *contact, from origin) (h *hop, flow *stream, err error) {
	if c.Path != "" {
		h, err = e.wayByPath(c.Path)
		return h, nil, err
	}
	switch by := from.by.(type) {
	case *stream:
		t, err := e.targetAt(from.from)
		if err != nil {
			return nil, nil, err
		}
		return &hop{uri: c.URI, transport: by.by, contact: true, flow: by, targets: []*target{t}, again: never}, by, nil
	case *udpSocket:
		h, err = e.wayByUDP(c, from.from, by)
	default:
		h, err = e.wayByUDP(c, from.from, nil)
	}
	return h, nil, err
}

// never is when a name is asked for again that is none.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// wayByPath is the way by the first proxy that must be passed (RFC 3327, 5.3).
func (e *Endpoint) wayByPath(path string) (*hop, error) {
	uri, err := nextHopOf(path)
	if err != nil {
		return nil, err
	}
	return e.otherHop(uri)
}

// wayByUDP is that to an address, from the socket that it was heard by: no other passes a NAT.
func (e *Endpoint) wayByUDP(c *contact, to netip.AddrPort, by *udpSocket) (*hop, error) {
	t, err := e.targetAt(to)
	if err != nil {
		return nil, err
	}
	if by != nil {
		t.socket = by
		local := by.local
		if !local.Addr().IsUnspecified() {
			t.sentBy[byUDP] = sentBy(local.Addr(), local.Port())
		}
	}
	return &hop{uri: c.URI, transport: byUDP, contact: true, targets: []*target{t}, again: never}, nil
}

// wayByTCP is a connection that we open, to a contact that is where its REGISTER came from: no NAT is between us. Nil: there is no such
// way.
func (e *Endpoint) wayByTCP(c *contact) *hop {
	by, source, _ := strings.Cut(c.Received, ":")
	from, err := netip.ParseAddrPort(source)
	ip, ipErr := netip.ParseAddr(strings.Trim(c.uri.Host, "[]"))
	if err != nil || ipErr != nil || by != byTCP.String() || ip.Unmap() != from.Addr() {
		return nil
	}
	port := c.uri.Port
	if port == 0 {
		port = byTCP.defaultPort()
	}
	t, err := e.targetAt(netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	if err != nil {
		return nil
	}
	return &hop{uri: c.URI, transport: byTCP, contact: true, targets: []*target{t}, again: never}
}

func (e *Endpoint) socketNamed(name string) *udpSocket {
	for _, s := range e.sockets {
		if s.name() == name {
			return s
		}
	}
	return nil
}

// nextHopOf is the next hop that the first value of a Route names.
func nextHopOf(route string) (string, error) {
	for value := range list([]byte(route)) {
		uri, _, ok := nameAddr(value)
		var parsed sip.Uri
		if !ok || !isPlainURI(uri) || sip.ParseUri(string(uri), &parsed) != nil || parsed.Host == "" {
			break
		}
		hop := "sip:" + parsed.Host
		if parsed.Port > 0 {
			hop = "sip:" + net.JoinHostPort(strings.Trim(parsed.Host, "[]"), strconv.Itoa(parsed.Port))
		}
		by, given := uriParam(&parsed, "transport")
		if !given && parsed.Scheme == "sips" {
			by, given = byTLS.String(), true
		}
		if given {
			hop += ";transport=" + by
		}
		_, err := parseHop(hop)
		return hop, err
	}
	return "", errBadPath
}
