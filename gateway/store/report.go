package store

import (
	"context"
	"database/sql"
	"time"

	"sipsmpp/gateway/sms"
)

// SegmentReport is what a receipt tells of one segment of a recorded message.
type SegmentReport struct {
	ID       sms.ID
	Part     int
	State    sms.State
	Error    string
	DoneTime time.Time
	// Close ends the whole report, whatever Part says: each segment that has told nothing final gets State, which need not be final,
	// but for one that was accepted, which is the last that is known of it.
	Close bool
	// Keep gives the receipts that the account which submitted the message is owed for what this told. They are written with the
	// report, in one transaction. It may be called more than once; the last call counts. nil: nobody is owed any.
	Keep func(MessageReport) []AccountReceipt
	// Tell gives the note of the event that tells of it, in the same manner. nil, or a nil note: there is nothing to note.
	Tell func(MessageReport) *EventNote
}

// MessageReport is what is known of a message once a segment's report is stored.
type MessageReport struct {
	State    sms.State // the worst of its segments': final once all of them are
	Error    string    // that segment's
	DoneTime time.Time // the latest of its segments'
	Changed  bool      // the segment's state was not known before: false for a receipt that came twice, or late
	Complete bool      // this report was the last that was missing; said once for a message
	Closed   bool      // Complete, and by Close: State may be one that is not final
}

// Report stores the state of a segment and, with the one that makes them complete, the message's report; the record's state then
// goes from sent to reported. A final state stays, whatever a late or second receipt says. Reports of one message may be under
// way at the same time, here and on other nodes: exactly one of them is told Complete. ErrNotFound: no such segment is recorded.
func (db *DB) Report(r SegmentReport, done func(MessageReport, error)) {
	db.committer.put(op{kind: opReport, report: r, reported: done})
}

// With FOR UPDATE the messages are locked by id, so that two nodes that report segments of one message follow one another.
const selectReportedText = `SELECT m.id, m.state, s.part, s.state, s.error, s.done_time
	FROM message m JOIN message_segment s ON s.message_id = m.id WHERE m.id IN `

// reportedMessage is a message whose segments are reported in this batch.
type reportedMessage struct {
	state    RecordState
	segments []reportedSegment
	complete bool // became so here
	report   MessageReport
}

type reportedSegment struct {
	part    int
	report  segmentState
	changed bool
}

// segmentState is what a report writes. Most segments of a batch share it, so that they share a statement.
type segmentState struct {
	state sms.State
	error string
	done  int64
}

// report applies the gathered reports: it reads what is known of the messages, takes the reports in order, and writes what
// changed, segments and messages that got the same state together. With them it writes what they, and those of fresh messages, call for.
func (b *batch) report(ctx context.Context, tx *sql.Tx) error {
	messages := make(map[sms.ID]*reportedMessage, len(b.reports))
	ids := make([]sms.ID, 0, len(b.reports))
	for _, o := range b.reports {
		if messages[o.report.ID] == nil {
			messages[o.report.ID] = &reportedMessage{}
			ids = append(ids, o.report.ID)
		}
	}
	for rest := ids; len(rest) > 0; {
		n := min(len(rest), chunks[0])
		if err := b.readReported(ctx, tx, rest[:n], messages); err != nil {
			return err
		}
		rest = rest[n:]
	}
	for _, o := range b.reports {
		b.apply(o, messages[o.report.ID])
	}
	if err := b.writeReported(ctx, tx, ids, messages); err != nil {
		return err
	}
	if err := b.keepReceipts(ctx, tx, b.owed); err != nil {
		return err
	}
	return b.keepNotes(ctx, tx, b.notes)
}

// apply takes one report, and gathers the receipts and the note that it calls for.
func (b *batch) apply(o *op, m *reportedMessage) {
	if o.report.Close {
		o.result, o.err = m.close(o.report)
	} else {
		o.result, o.err = m.take(o.report)
	}
	if o.err == nil && o.report.Keep != nil {
		b.owed = append(b.owed, o.report.Keep(o.result)...)
	}
	if o.err == nil && o.report.Tell != nil {
		if note := o.report.Tell(o.result); note != nil {
			b.notes = append(b.notes, *note)
		}
	}
}

func (b *batch) readReported(ctx context.Context, tx *sql.Tx, ids []sms.ID, messages map[sms.ID]*reportedMessage) error {
	n := b.padIDs(ids)
	rows, err := b.statements.query(ctx, tx, statement{selectReported, n}, b.args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, state, segment string
		var s reportedSegment
		if err := rows.Scan(&id, &state, &s.part, &segment, &s.report.error, &s.report.done); err != nil {
			return err
		}
		key, err := sms.ParseID(id)
		if err != nil {
			return err
		}
		s.report.state, _ = sms.ParseState(segment)
		m := messages[key]
		m.state = RecordState(state)
		m.segments = append(m.segments, s)
	}
	return rows.Err()
}

// take applies one report.
func (m *reportedMessage) take(r SegmentReport) (MessageReport, error) {
	found, changed := false, false
	for i := range m.segments {
		s := &m.segments[i]
		if s.part != r.Part {
			continue
		}
		found = true
		if s.report.state.Final() || s.report.state == r.State {
			break
		}
		s.report = segmentState{r.State, clip(r.Error), millis(r.DoneTime)}
		s.changed, changed = true, true
	}
	if !found {
		return MessageReport{}, ErrNotFound
	}
	worst := m.segments[0].report
	done := worst.done
	for _, s := range m.segments[1:] {
		if w := worst.state.Worse(s.report.state); w != worst.state {
			worst = s.report
		}
		done = max(done, s.report.done)
	}
	m.report = MessageReport{State: worst.state, Error: unescape(worst.error), DoneTime: fromMillis(done)}
	result := m.report
	result.Changed = changed
	if changed && worst.state.Final() && m.state == RecordSent {
		m.state, m.complete, result.Complete = RecordReported, true, true
	}
	return result, nil
}

// close ends the report. One that is complete already stays as it is.
func (m *reportedMessage) close(r SegmentReport) (MessageReport, error) {
	if len(m.segments) == 0 {
		return MessageReport{}, ErrNotFound
	}
	if m.state != RecordSent {
		return MessageReport{}, nil
	}
	var worst segmentState
	done := millis(r.DoneTime)
	for i := range m.segments {
		s := &m.segments[i]
		if !s.report.state.Final() && s.report.state != sms.StateAccepted {
			s.report, s.changed = segmentState{r.State, clip(r.Error), done}, true
		}
		if i == 0 || closedRank(s.report.state) > closedRank(worst.state) {
			worst = s.report
		}
	}
	m.report = MessageReport{State: worst.state, Error: unescape(worst.error), DoneTime: fromMillis(done)}
	m.state, m.complete = RecordReported, true
	result := m.report
	result.Changed, result.Complete, result.Closed = true, true, true
	return result, nil
}

// closedRank orders the states of segments by which decides for the message once nothing more is waited for: a failure that was told,
// then what nobody told, then what was accepted and not heard of again.
func closedRank(s sms.State) int {
	switch {
	case s == sms.StateDelivered:
		return 0
	case s == sms.StateAccepted:
		return 1
	case !s.Final():
		return 2
	}
	return 2 + int(s)
}

func (b *batch) writeReported(ctx context.Context, tx *sql.Tx, ids []sms.ID, messages map[sms.ID]*reportedMessage) error {
	type group struct {
		part  int
		state segmentState
	}
	segments, whole := map[group][]sms.ID{}, map[segmentState][]sms.ID{}
	for _, id := range ids {
		m := messages[id]
		for _, s := range m.segments {
			if s.changed {
				g := group{s.part, s.report}
				segments[g] = append(segments[g], id)
			}
		}
		if m.complete {
			s := segmentState{m.report.State, clip(m.report.Error), millis(m.report.DoneTime)}
			whole[s] = append(whole[s], id)
		}
	}
	for g, ids := range segments {
		if err := b.update(ctx, tx, updateSegments, ids, g.state.state.String(), g.state.error, g.state.done, int64(g.part)); err != nil {
			return err
		}
	}
	now := time.Now().UnixMilli()
	for s, ids := range whole {
		if err := b.update(ctx, tx, updateMessages, ids, string(RecordReported), s.state.String(), s.error, s.done, now); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) update(ctx context.Context, tx *sql.Tx, t template, ids []sms.ID, values ...any) error {
	for len(ids) > 0 {
		part := ids[:min(len(ids), chunks[0])]
		ids = ids[len(part):]
		n := b.padIDs(part, values...)
		if err := b.statements.exec(ctx, tx, statement{t, n}, b.args); err != nil {
			return err
		}
	}
	return nil
}

// padIDs makes b.args of values and of ids up to the next chunk, the last one again and again, and says how many there are then.
func (b *batch) padIDs(ids []sms.ID, values ...any) int {
	b.args = append(b.args[:0], values...)
	n := chunkAround(len(ids))
	for i := range n {
		if i < len(ids) {
			b.args = append(b.args, ids[i].String())
		} else {
			b.args = append(b.args, b.args[len(b.args)-1])
		}
	}
	return n
}
