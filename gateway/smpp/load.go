package smpp

import "math"

// Load says how busy a connection is, for those who share messages among several: what waits and is in flight there, in
// thousandths of the room of its windows. One that cannot send is as busy as can be.
func (c *Connections) Load(name string) int {
	connection, ok := (*c.table.Load())[name]
	if !ok {
		return math.MaxInt
	}
	return connection.load()
}

func (c *connection) load() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.enabled || !c.cfg.Sends() {
		return math.MaxInt
	}
	room, busy := 0, c.queue.len()
	for _, b := range c.binds {
		if b.session != nil && b.state == BindBound {
			room += c.cfg.Window
			busy += b.session.inFlight()
		}
	}
	if room == 0 {
		return math.MaxInt
	}
	return busy * 1000 / room
}

// Capacity says how many segments may be on their way by a connection at once: the windows of its binds that are up. Zero: nothing
// can leave by it now.
func (c *Connections) Capacity(name string) int {
	connection, ok := (*c.table.Load())[name]
	if !ok {
		return 0
	}
	connection.mu.Lock()
	defer connection.mu.Unlock()
	if !connection.enabled || !connection.cfg.Sends() {
		return 0
	}
	return connection.usable() * connection.cfg.Window
}

// Capacity is the same for an account, with those of its binds that can receive.
func (a *Accounts) Capacity(systemID string) int {
	account := (*a.table.Load())[systemID]
	if account == nil {
		return 0
	}
	account.mu.Lock()
	defer account.mu.Unlock()
	return account.usable() * max(account.row.Window, 1)
}

// usable is how many binds messages can begin on. The lock is held.
func (o *outbox) usable() (n int) {
	for _, l := range o.lanes {
		if l.session != nil && !l.draining {
			n++
		}
	}
	return n
}
