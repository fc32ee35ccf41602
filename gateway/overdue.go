package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Reports that never come. An SMSC may lose a receipt, or never send one, and whoever waits for the report shall not wait for ever:
// at a time that is written with the record of the message its report is closed with what is known. Any gateway on the database may
// do that, and it is done once.

const (
	// validityMargin is how long after the end of a message's validity its report may still come.
	validityMargin = 24 * time.Hour
	// overdueCount is how many reports are closed at once.
	overdueCount = 200
)

// reportDue is when the report of a message is given up: records.report_timeout after it was sent, or a while after the end of its
// validity where it has one; but while its record is there.
func (g *Gateway) reportDue(m *sms.Message, sent time.Time) time.Time {
	timeout := time.Duration(g.config.Records.ReportTimeout)
	due := sent.Add(timeout)
	if !m.Expires.IsZero() {
		due = m.Expires.Add(min(timeout, validityMargin))
	}
	if gone := m.ID.Time().Add(time.Duration(g.config.Records.Keep)); due.After(gone.Add(-2 * purgeInterval)) {
		due = gone.Add(-2 * purgeInterval)
	}
	return due
}

// awaited is the record of a message whose report is to come.
func (p *passage) awaited(o sms.Outcome) *store.Record {
	r := p.record(o, store.RecordSent)
	r.NextAttempt = p.g.reportDue(p.m, time.Now())
	return r
}

// closeReports closes the reports that did not come in time.
func (g *Gateway) closeReports(ctx context.Context) {
	interval := min(purgeInterval, time.Duration(g.config.Records.ReportTimeout)/4)
	g.sweepRecords(ctx, "overdue reports", "closed", interval, func() (more bool, err error) {
		list, err := g.db.Overdue(ctx, time.Now(), overdueCount)
		if err != nil {
			return false, err
		}
		return len(list) == overdueCount, g.reports.close(list)
	})
}

// close closes the reports of messages: with `expired` where the validity of the message has ended, else with `unknown`.
func (r *reports) close(list []*store.Record) error {
	errs := make([]error, len(list))
	var open sync.WaitGroup
	for i, record := range list {
		now, m := time.Now(), recordedOf(record)
		state := sms.StateUnknown
		if expires := record.Message.Expires; !expires.IsZero() && expires.Before(now) {
			state = sms.StateExpired
		}
		open.Add(1)
		r.write(record.Egress, m, store.SegmentReport{ID: m.id, State: state, DoneTime: now, Close: true},
			func(now store.MessageReport, owed owing, err error) {
				defer open.Done()
				switch {
				case err != nil:
					errs[i] = err
				case now.Closed:
					r.counters.closed.Add(1)
					r.log.Warn("a report did not come in time; it is closed", "message", m.id, "leg", record.Egress, "state", now.State)
					r.told(record.Egress, m, now, owed)
				}
			})
	}
	open.Wait()
	return errors.Join(errs...)
}
