package smpp

import "time"

// maxQueue is how many messages may wait for the binds of one connection: what comes in a third of a second when very much
// comes. What is over goes by the database, at several times the cost.
const maxQueue = 20_000

// queue holds the messages that wait for a slot, first come, first out.
type queue struct {
	items []*submission
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(s *submission) {
	if q.head > 64 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, s)
}

// prepend puts items before all others.
func (q *queue) prepend(items []*submission) {
	*q = queue{items: append(items, q.items[q.head:]...)}
}

// front is the message that has waited longest; nil where there is none.
func (q *queue) front() *submission {
	if q.len() == 0 {
		return nil
	}
	return q.items[q.head]
}

func (q *queue) pop() {
	q.items[q.head] = nil
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
}

// take empties the queue and gives what was in it.
func (q *queue) take() []*submission {
	all := q.items[q.head:]
	*q = queue{}
	return all
}

// overdue says that the front has waited too long.
func (q *queue) overdue(now time.Time) bool {
	s := q.front()
	return s != nil && !now.Before(s.deadline)
}
