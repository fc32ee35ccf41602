package store

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// SQLite writes each page that a transaction changed, and in an index by number each message changes another: these pages alone cost
// more than all else of a message. So in its indexes the entries of a period are together, in few pages that the next transactions
// change, too. Column `period` of table message is the end of its message's, in milliseconds since 1970: later than the id. What has a
// number is looked for period by period, the latest first, until what is left is older than what was found.

const (
	periodCount   = 2048 // messages of a period
	longestPeriod = 24 * time.Hour
)

// periods gives the messages of one writer their periods.
type periods struct {
	began, end int64
	count      int
}

// of is the period of n messages that are written now. One ends when it has its messages, or its time is over: that which the last
// took for as many.
func (p *periods) of(now time.Time, n int) int64 {
	if ms := now.UnixMilli(); p.count >= periodCount || ms >= p.end {
		length := longestPeriod.Milliseconds()
		if p.count > 0 {
			length = min(length, max(1, (ms-p.began)*periodCount/int64(p.count)))
		}
		*p = periods{began: ms, end: ms + length}
	}
	p.count += n
	return p.end
}

// byNumber lists records as Messages does, by an index in periods.
func (db *DB) byNumber(ctx context.Context, index string, since time.Time, conditions string, args []any, limit int) ([]*Record, error) {
	var records []*Record
	upTo := int64(math.MaxInt64)
	for n := 4; ; n = min(2*n, 512) {
		ends, err := db.periodsUpTo(ctx, upTo, millis(since), n)
		if err != nil {
			return nil, err
		}
		if len(ends) == 0 || len(records) == limit && records[limit-1].Message.ID.Time().UnixMilli() >= ends[0].(int64) {
			return records, nil
		}
		some, err := db.records(ctx, fmt.Sprintf("INDEXED BY %s WHERE period IN %s AND %s ORDER BY id DESC LIMIT %d",
			index, list(len(ends)), conditions, limit), append(slices.Clone(ends), args...)...)
		if err != nil {
			return nil, err
		}
		records = append(records, some...)
		slices.SortFunc(records, func(a, b *Record) int { return bytes.Compare(b.Message.ID[:], a.Message.ID[:]) })
		records = records[:min(len(records), limit)]
		upTo = ends[len(ends)-1].(int64) - 1
	}
}

// periodsUpTo are the ends of the n latest periods up to a time, as arguments. Each is found by the index, whatever is in it.
func (db *DB) periodsUpTo(ctx context.Context, upTo, since int64, n int) (ends []any, err error) {
	rows, err := db.read.QueryContext(ctx, `WITH RECURSIVE p (period) AS (
		SELECT MAX(period) FROM message WHERE period <= ?1
		UNION ALL SELECT (SELECT MAX(m.period) FROM message m WHERE m.period < p.period) FROM p WHERE p.period > ?2
	) SELECT period FROM p WHERE period > ?2 LIMIT ?3`, upTo, since, n)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	err = scanAll(rows, func() error {
		var end int64
		err := rows.Scan(&end)
		ends = append(ends, end)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	return ends, nil
}
