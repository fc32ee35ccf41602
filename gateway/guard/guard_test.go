package guard

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	g, now := New(), time.Unix(1_700_000_000, 0)
	from, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	var waits []time.Duration
	for range 10 {
		g.Failed(from, "shop", now)
		waits = append(waits, g.Blocked(from, "shop", now)/time.Second)
	}
	if want := []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 60, 60}; !reflect.DeepEqual(waits, want) {
		t.Errorf("%v, want %v", waits, want)
	}
	if g.Blocked(from, "other", now) > 0 || g.Blocked(other, "shop", now) > 0 || g.Blocked(from, "shop", now.Add(time.Minute)) > 0 {
		t.Error("others are blocked, or for too long")
	}
	for i := range 20 {
		g.Failed(from, fmt.Sprint("name", i), now)
	}
	if g.Blocked(from, "yet another", now) <= 0 {
		t.Error("an address may try any number of names")
	}
	for i := range 20 {
		g.FailedBehind(other, fmt.Sprint("name", i), now)
	}
	if g.Blocked(other, "yet another", now) > 0 {
		t.Error("an address with many behind it is blocked")
	}
	g.Forgive("shop")
	if g.known[key{from, "shop"}] != nil {
		t.Error("not forgiven")
	}
	for i := range 3 * maxKnown {
		g.Failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "x", now)
	}
	if n := len(g.known); n > maxKnown {
		t.Errorf("%d are remembered", n)
	}
	if count, tell := g.Refused(other, "shop", now); !tell || count != 1 {
		t.Errorf("%d, %v", count, tell)
	}
	if _, tell := g.Refused(other, "shop", now.Add(time.Second)); tell {
		t.Error("told again within a second")
	}
	if count, tell := g.Refused(other, "shop", now.Add(tellEvery)); !tell || count != 2 {
		t.Errorf("%d, %v", count, tell)
	}
}
