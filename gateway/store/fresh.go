package store

import "sipsmpp/gateway/sms"

// reportFresh applies the gathered reports of messages that are inserted in the same batch: an SMSC that delivers at once reports
// while the record is still queued. Such a message is written once, as its reports leave it. The other reports stay gathered.
func (b *batch) reportFresh() {
	if len(b.reports) == 0 || len(b.inserts) == 0 {
		return
	}
	at := make(map[sms.ID]int, len(b.inserts)) // in b.inserts
	for i, o := range b.inserts {
		if o.record.State != RecordDeferred { // and so it was sent
			at[o.record.Message.ID] = i
		}
	}
	fresh := make(map[sms.ID]*reportedMessage)
	others := b.reports[:0]
	for _, o := range b.reports {
		id := o.report.ID
		i, here := at[id]
		if !here {
			others = append(others, o)
			continue
		}
		if fresh[id] == nil {
			fresh[id] = newReported(b.inserts[i].record)
		}
		b.apply(o, fresh[id])
	}
	b.reports = others
	for id, m := range fresh {
		o := *b.inserts[at[id]] // the caller's record stays as it is, should this have to be done again
		o.record = m.reportedOn(o.record)
		b.inserts[at[id]] = &o
	}
}

// newReported is what is known of a message by its record, as readReported would read it.
func newReported(r *Record) *reportedMessage {
	m := &reportedMessage{state: r.State}
	for _, s := range r.Segments {
		m.segments = append(m.segments, reportedSegment{part: s.Part, report: segmentState{s.State, clip(s.Error), millis(s.DoneTime)}})
	}
	return m
}

// reportedOn is the record with what the reports told.
func (m *reportedMessage) reportedOn(r *Record) *Record {
	told := *r
	told.Segments = make([]Segment, len(r.Segments))
	for i, s := range r.Segments {
		if now := m.segments[i]; now.changed {
			s.State, s.Error, s.DoneTime = now.report.state, unescape(now.report.error), fromMillis(now.report.done)
		}
		told.Segments[i] = s
	}
	if m.complete {
		told.State = RecordReported
		told.Report, told.ReportError, told.DoneTime = m.report.State, m.report.Error, m.report.DoneTime
	}
	return &told
}
