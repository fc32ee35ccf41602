package mi

import (
	"slices"
	"testing"
)

func TestOtherNames(t *testing.T) {
	others := OtherNames()
	for name, want := range map[string]string{
		"smpp:reload": "smpp_reload", "message:send": "message_send", "route:test": "route_test", "sip:user_add": "sip_user_add",
		"statistics:get": "get_statistics", "evi:subscribe": "event_subscribe", "core:ps": "ps", "core:log_level": "log_level",
	} {
		if d, ok := Lookup(name); !ok || d.Name != want || !slices.Contains(others, name) {
			t.Errorf("%s: %v", name, d)
		}
	}
	for _, name := range []string{"get:statistics", "log:level", "smpp:", "event:subscribe", ":", ""} {
		if d, ok := Lookup(name); ok {
			t.Errorf("%q is %s", name, d.Name)
		}
	}
	for _, d := range Methods() {
		if got, ok := Lookup(d.Name); !ok || got != d {
			t.Errorf("%s is not found by its name", d.Name)
		}
	}
	// Every method has one other name, rpc.discover excepted.
	if len(others) != len(Methods())-1 {
		t.Errorf("%d other names of %d methods", len(others), len(Methods()))
	}
}
