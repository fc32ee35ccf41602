package store

import (
	"fmt"
	"testing"

	"sipsmpp/gateway/sms"
)

// benchEach runs a benchmark on every server, with at most 1000 operations under way.
func benchEach(b *testing.B, bench func(b *testing.B, db *DB)) {
	for _, s := range servers {
		b.Run(s.name, func(b *testing.B) { bench(b, open(b, s.fresh(b))) })
	}
}

type inFlight chan struct{}

func (c inFlight) start() { c <- struct{}{} }
func (c inFlight) end()   { <-c }
func (c inFlight) wait() {
	for range cap(c) {
		c <- struct{}{}
	}
}

func benchRecords(n int) []*Record {
	records := make([]*Record, n)
	for i := range records {
		m := message("Your code is 123456. Do not share it with anyone, whoever asks for it.")
		m.To.Value = fmt.Sprint(4915100000000 + i*7919%10_000_000)
		records[i] = sent(m, "acme", fmt.Sprintf("%x", i))
	}
	return records
}

func benchInsert(b *testing.B, db *DB, records []*Record) {
	c := make(inFlight, 1000)
	for _, r := range records {
		c.start()
		db.Insert(r, func(err error) {
			if err != nil {
				b.Error(err)
			}
			c.end()
		})
	}
	c.wait()
}

func BenchmarkInsert(b *testing.B) {
	benchEach(b, func(b *testing.B, db *DB) {
		records := benchRecords(b.N)
		b.ReportAllocs()
		b.ResetTimer()
		benchInsert(b, db, records)
	})
}

// One at a time is what a message costs when nothing else is under way.
func BenchmarkInsertAlone(b *testing.B) {
	benchEach(b, func(b *testing.B, db *DB) {
		records := benchRecords(b.N)
		b.ReportAllocs()
		b.ResetTimer()
		for _, r := range records {
			insert(b, db, r)
		}
	})
}

func BenchmarkReport(b *testing.B) {
	benchEach(b, func(b *testing.B, db *DB) {
		records := benchRecords(b.N)
		benchInsert(b, db, records)
		at := received()
		b.ReportAllocs()
		b.ResetTimer()
		c := make(inFlight, 1000)
		for _, r := range records {
			c.start()
			db.Report(SegmentReport{ID: r.Message.ID, Part: 1, State: sms.StateDelivered, Error: "000", DoneTime: at}, func(r MessageReport, err error) {
				if err != nil || !r.Complete {
					b.Error(r, err)
				}
				c.end()
			})
		}
		c.wait()
	})
}

func BenchmarkFind(b *testing.B) {
	benchEach(b, func(b *testing.B, db *DB) {
		records := benchRecords(20_000)
		benchInsert(b, db, records)
		b.ReportAllocs()
		b.ResetTimer()
		c := make(inFlight, 1000)
		for i := range b.N {
			key := records[i%len(records)].Segments[0].Key
			c.start()
			db.FindSegments(sms.Connection("acme"), []string{key, "0" + key}, func(m []Match, err error) {
				if err != nil || len(m) != 1 {
					b.Error(m, err)
				}
				c.end()
			})
		}
		c.wait()
	})
}
