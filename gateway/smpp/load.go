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
	if !c.enabled || !c.sends() {
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
