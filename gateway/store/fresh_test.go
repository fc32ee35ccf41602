package store

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// A message that is reported on while its insert is queued ends as one that was stored before.
func TestFreshReports(t *testing.T) {
	at := received().Truncate(time.Second)
	one := SegmentReport{Part: 1, State: sms.StateDelivered, Error: "000", DoneTime: at}
	cases := map[string][]SegmentReport{
		"one":          {one},
		"twice":        {one, one},
		"on its way":   {{Part: 1, State: sms.StateEnroute}},
		"all":          {{Part: 2, State: sms.StateRejected, Error: "a\x00\x1a", DoneTime: at.Add(time.Minute)}, one, {Part: 3, State: sms.StateDelivered}},
		"of no part":   {{Part: 7, State: sms.StateDelivered}},
		"late":         {one, {Part: 1, State: sms.StateExpired}},
		"closed":       {{Part: 2, State: sms.StateAccepted}, {State: sms.StateUnknown, Close: true, DoneTime: at}},
		"closed twice": {{State: sms.StateUnknown, Close: true}, {State: sms.StateUnknown, Close: true}, one},
	}
	type told struct {
		report MessageReport
		err    bool
		lost   bool
	}
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		for name, reports := range cases {
			var ends [2]*Record
			var results [2][]told
			for i := range ends {
				m := message("in three")
				r := sent(m, "acme", "1", "2", "3")
				before := *r
				before.Segments = append([]Segment(nil), r.Segments...)
				release := func() {}
				if i == 0 { // both are queued
					release = hold(t, db)
				}
				inserted := make(chan error, 1)
				db.Insert(r, func(err error) { inserted <- err })
				if i == 1 {
					if err := <-inserted; err != nil {
						t.Fatal(err)
					}
				}
				answers := make(chan told, len(reports))
				for _, report := range reports {
					report.ID = m.ID
					db.Report(report, func(r MessageReport, err error) { answers <- told{r, err != nil, errors.Is(err, ErrNotFound)} })
				}
				release()
				for range reports {
					results[i] = append(results[i], <-answers)
				}
				end, err := db.Message(t.Context(), m.ID)
				if err != nil {
					t.Fatal(err)
				}
				end.Message, end.Updated = nil, time.Time{}
				ends[i] = end
				if !reflect.DeepEqual(r, &before) {
					t.Errorf("%s: the caller's record was changed: %+v", name, r)
				}
			}
			if !reflect.DeepEqual(results[0], results[1]) {
				t.Errorf("%s: fresh %+v\nstored %+v", name, results[0], results[1])
			}
			if !reflect.DeepEqual(ends[0], ends[1]) {
				t.Errorf("%s: fresh %+v\nstored %+v", name, ends[0], ends[1])
			}
		}
	})
}
