package store

import "sipsmpp/gateway/metric"

// Stats tell how the database keeps up.
type Stats struct {
	Commits metric.Snapshot // how long the transactions of the committer took that went well
	Written uint64          // writes that were committed
	Failed  uint64          // writes that the database did not take
	Queued  int             // writes that wait
	Lookups int             // lookups that wait
	Failing bool            // the last transaction failed for the database's fault
}

// Stats gives the numbers as they are now. It waits for nothing.
func (db *DB) Stats() Stats {
	c := db.committer
	s := Stats{Commits: c.took.Snapshot(), Written: c.written.Load(), Failed: c.failed.Load(), Failing: c.failing.Load()}
	c.mu.Lock()
	s.Queued = len(c.queue)
	c.mu.Unlock()
	db.finder.mu.Lock()
	s.Lookups = len(db.finder.queue)
	db.finder.mu.Unlock()
	return s
}
