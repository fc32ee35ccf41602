package main

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestTalesAreJudged: what each kind of tale counts as, with one outage from second 10 to 12 and a kill at 20.
func TestTalesAreJudged(t *testing.T) {
	began := time.Now()
	at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	outages := []outage{{brokenSMSC, at(10), at(12)}, {killed, at(20), at(20)}}
	exits := func(seconds ...float64) (list []exit) {
		for _, s := range seconds {
			list = append(list, exit{at: at(s)})
		}
		return list
	}
	for _, c := range []struct {
		name string
		tale tale
		want storyResult // beside Sent
	}{
		{"delivered", tale{state: stateAccepted, exits: exits(1), reports: []string{"DELIVRD"}}, storyResult{Accepted: 1, Delivered: 1, Reported: 1}},
		{"lost", tale{state: stateAccepted}, storyResult{Accepted: 1, Lost: 1, Unreported: 1}},
		{"lost though its sender was told so", tale{state: stateAccepted, failed: "expired", reports: []string{"EXPIRED"}},
			storyResult{Accepted: 1, Lost: 1, Reported: 1}},
		{"deferred", tale{state: stateAccepted, kept: true}, storyResult{Accepted: 1, Kept: 1}},
		{"refused by the far end later", tale{state: stateAccepted, denied: true, failed: "0x0B", reports: []string{"UNDELIV"}},
			storyResult{Accepted: 1, Denied: 1, Reported: 1}},
		{"refused by the far end later, and nobody was told", tale{state: stateAccepted, denied: true, failed: "0x0B"},
			storyResult{Accepted: 1, Denied: 1, Unreported: 1}},
		{"refused later, and nothing says so", tale{state: stateAccepted, denied: true, reports: []string{"UNDELIV"}},
			storyResult{Accepted: 1, Lost: 1, Reported: 1}},
		{"refused at once", tale{state: stateRefused, denied: true}, storyResult{Refused: 1}},
		{"unanswered", tale{state: stateUnanswered, exits: exits(1)}, storyResult{Unanswered: 1}},
		{"doubled in peace", tale{state: stateAccepted, sent: at(1), settled: at(2), exits: exits(1, 3), reports: []string{"DELIVRD"}},
			storyResult{Accepted: 1, Delivered: 1, Surplus: 1, Reported: 1}},
		{"doubled because the SMSC went", tale{state: stateAccepted, sent: at(9), settled: at(13), exits: exits(9.9, 13), reports: []string{"DELIVRD"}},
			storyResult{Accepted: 1, Delivered: 1, Doubled: 1, Reported: 1}},
		{"came out long before the SMSC went", tale{state: stateAccepted, sent: at(5), settled: at(6), exits: exits(6, 13), reports: []string{"DELIVRD"}},
			storyResult{Accepted: 1, Delivered: 1, Surplus: 1, Reported: 1}},
		{"sent again after a kill", tale{state: stateAccepted, sent: at(15), settled: at(22), exits: exits(15, 22), reports: []string{"DELIVRD"}},
			storyResult{Accepted: 1, Delivered: 1, Doubled: 1, Reported: 1}},
		{"reported twice", tale{state: stateAccepted, exits: exits(1), reports: []string{"DELIVRD", "DELIVRD"}},
			storyResult{Accepted: 1, Delivered: 1, Reported: 1, ToldAgain: 1}},
		{"reported wrongly", tale{state: stateAccepted, exits: exits(1), reports: []string{"UNDELIV"}},
			storyResult{Accepted: 1, Delivered: 1, Reported: 1, Contradicts: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStory("test", true)
			s.tales = append(s.tales, &c.tale)
			got := s.result(outages)
			faulty := got.Lost+got.Surplus+got.Unreported+got.Contradicts > 0
			if faulty != (len(got.Faults) > 0) {
				t.Errorf("faults %q", got.Faults)
			}
			bad := tortureResult{Stories: []storyResult{got}}.verdict()
			if (faulty || got.Kept > 0 || got.Accepted == 0) != (bad != nil) {
				t.Errorf("verdict %v", bad)
			}
			c.want.Sent, c.want.Direction, got.Faults = 1, "test", nil
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestStory(t *testing.T) {
	s := newStory("test", true)
	n := s.begin()
	text := []byte(markText(s.run, n, tortureText))
	if got, ours := s.number(text); !ours || got != n {
		t.Fatalf("%q is %d, %v", text, got, ours)
	}
	if _, ours := newStory("other", true).number(text); ours {
		t.Error("a text of another story was taken for its own")
	}
	s.exit(n, 7, "")
	s.exit(n, 7, "") // a retransmission
	s.exit(n+1, 0, "")
	s.report("id", "DELIVRD") // before the answer that names it
	if u, p := s.waiting(); u != 1 || p != 0 {
		t.Errorf("%d unanswered, %d pending", u, p)
	}
	s.settle(n, stateAccepted, "id")
	s.settle(n, stateRefused, "")
	if u, p := s.waiting(); u != 0 || p != 0 {
		t.Errorf("%d unanswered, %d pending", u, p)
	}
	if r := s.result(nil); r.Accepted != 1 || r.Delivered != 1 || r.Surplus != 0 || r.Reported != 1 {
		t.Errorf("%+v", r)
	}
}

func TestTortureFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--break fire", "kill, smsc, sink, db or disk"},
		{"--rounds 0", "--rounds"},
		{"--round 1h", "--round"},
		{"--rate 0", "--rate"},
		{"--break db", "give --db"},
		{"--break disk", "give --dir"},
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), append([]string{"torture"}, strings.Fields(c.args)...), strings.NewReader(""), &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit %d: %s", c.args, code, stderr.String())
		}
	}
}
