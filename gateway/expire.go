package gateway

import (
	"context"
	"time"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// What the keeper does by time alone: it gives up what nobody took, and looks for what waits for nothing.

// expire gives up what nobody took in time, and says whether there is more of it.
func (k *keeper) expire(ctx context.Context, now time.Time) (more bool) {
	var claimed []store.Deferral
	err := k.reading(func() error {
		list, err := k.db.ExpiredDeferrals(ctx, now, pageSize)
		more = len(list) == pageSize
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, d := range list {
			if k.free(nil, d) {
				k.flying[d.ID] = struct{}{}
				claimed = append(claimed, d)
			}
		}
		return err
	})
	if err == nil && len(claimed) > 0 {
		err = k.expireAll(ctx, claimed)
	}
	if err != nil {
		k.failedToRead(ctx, err)
		return false
	}
	k.couldRead() // which is asked for each second
	return more && len(claimed) > 0
}

func (k *keeper) expireAll(ctx context.Context, claimed []store.Deferral) error {
	records, err := k.db.DeferredMessages(ctx, claimed)
	if err != nil {
		k.release(nil, claimed)
		return err
	}
	k.dropLost(nil, claimed, records)
	for _, r := range records {
		k.fail(k.passage(r, k.loose(*r.Deferral)), expiredOutcome(r.Deferral.GiveUp))
	}
	return nil
}

// loose is the flight of a message that is not tried: it takes no place among those on their way.
func (k *keeper) loose(d store.Deferral) *flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &flight{deferral: d, backlog: k.backlog(d.Target), loose: true}
}

func expiredOutcome(at time.Time) sms.Outcome {
	return sms.Failed(sms.Permanent, sms.CauseExpired, "nobody took it until "+at.UTC().Format(time.RFC3339))
}

// mend makes due what waits behind a message that is gone, which a failed write can leave. It says whether there is more to look at.
func (k *keeper) mend(ctx context.Context, b *backlog, now time.Time) (more bool) {
	stranded, alone, err := k.db.StrandedDeferrals(ctx, b.target, now, pageSize)
	if err != nil || len(stranded) == 0 {
		return false // it is asked again, as is what is due, which tells of the error
	}
	for _, queue := range alone {
		k.promote(b, queue)
	}
	ids := make([]sms.ID, len(stranded))
	for i, d := range stranded {
		ids[i] = d.ID
	}
	k.db.Postpone(ids, now.Add(safetyTime), func(error) {})
	return len(stranded) == pageSize
}
