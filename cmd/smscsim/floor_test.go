package main

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"

	"sipsmpp/gateway/gatewaytest"
)

// runJSON runs load and gives its exit code and what it printed.
func runJSON[T any](t *testing.T, args ...string) (code int, v T) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"load", "--json"}, args...), strings.NewReader(""), &stdout, &stderr)
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		t.Fatalf("exit %d: %v: %s%s", code, err, &stdout, &stderr)
	}
	return code, v
}

// The floor, a process of its own, carries everything in every direction.
func TestFloor(t *testing.T) {
	all := count{Sent: 300, Accepted: 300, Arrived: 300}
	for name, c := range map[string]struct {
		args     []string
		flows    []string
		receipts uint64
	}{
		"mt":       {[]string{"--direction", "mt"}, []string{"mt"}, 0},
		"mo":       {[]string{"--direction", "mo", "--window", "300"}, []string{"mo"}, 0},
		"both":     {[]string{"--direction", "both"}, []string{"mt", "mo"}, 0},
		"esme":     {[]string{"--direction", "esme"}, []string{"esme"}, 0},
		"relay":    {[]string{"--direction", "relay"}, []string{"relay"}, 0},
		"receipts": {[]string{"--direction", "both", "--receipts"}, []string{"mt", "mo"}, 300},
		"paced":    {[]string{"--direction", "mt", "--rate", "3000"}, []string{"mt"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, r := runJSON[result](t, append(c.args, "--floor", "--count", "300")...)
			if code != exitGood || r.Subject != "floor" || len(r.Flows) != len(c.flows) || r.Rate <= 0 {
				t.Fatalf("exit %d, %+v", code, r)
			}
			for i, flow := range r.Flows {
				if flow.Direction != c.flows[i] || flow.Count != all || flow.Transit.P50 <= 0 {
					t.Errorf("%+v", flow)
				}
			}
			if p := r.Process; p == nil || p.PID == 0 || p.Memory.First == 0 || p.Memory.Last == 0 || p.Memory.Highest < p.Memory.First {
				t.Errorf("%+v", p)
			}
			switch {
			case c.receipts == 0 && r.Receipts != nil:
				t.Errorf("%+v", *r.Receipts)
			case c.receipts > 0 && (r.Receipts == nil || r.Receipts.Sent != c.receipts || r.Receipts.Taken != c.receipts):
				t.Errorf("%+v", r.Receipts)
			}
		})
	}
}

// What the floor does not carry is refused, as a gateway would.
func TestFloorRefuses(t *testing.T) {
	code, r := runJSON[result](t, "--floor", "--direction", "mo", "--count", "20", "--sip-status", "480", "--drain", "10ms")
	if code != exitGood || r.Flows[0].Statuses["0x64"] != 20 {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestFloorPDUs(t *testing.T) {
	request := "MESSAGE sip:+491@127.0.0.1:1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:+492@x>;tag=1\r\nTo: <sip:1@x>\r\n\r\nhi"
	p := appendFloorSubmit(nil, 7, []byte(request), 1)
	smsc, err := gatewaytest.NewSMSC(gatewaytest.SMSCConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer smsc.Close()
	l, err := bindFloor(t.Context(), smsc.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer l.conn.Close()
	if _, err := l.conn.Write(p); err != nil {
		t.Fatal(err)
	}
	in, err := smsc.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if in.From != "492" || in.FromTON != 1 || in.To != "491" || in.ToNPI != 1 || in.Text() != "hi" || in.RegisteredDelivery != 1 || in.Sequence != 7 {
		t.Errorf("%+v", in)
	}
	v, ok := scanFloorSM(p) // a deliver_sm has the same body
	if !ok || string(v.from) != "492" || string(v.to) != "491" || string(v.text) != "hi" || p[v.registered] != 1 || v.receipt {
		t.Errorf("%v %+v", ok, v)
	}
	if _, err := bindFloor(t.Context(), refusing(t)); err == nil || !strings.Contains(err.Error(), "0x0d") {
		t.Errorf("a bind that is refused: %v", err)
	}
}

// refusing is the address of an SMSC that refuses binds.
func refusing(t *testing.T) string {
	smsc, err := gatewaytest.NewSMSC(gatewaytest.SMSCConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smsc.Close)
	if err := smsc.Refuse(gatewaytest.RefuseBind); err != nil {
		t.Fatal(err)
	}
	return smsc.Addr()
}

// A PDU that comes in pieces is read whole, and what no PDU is ends the bind.
func TestFloorLink(t *testing.T) {
	ours, theirs := net.Pipe()
	l := &floorLink{conn: ours}
	p := appendFloorResponse(nil, floorDeliverSM, 0, 9)
	go func() {
		for _, b := range [][]byte{p[:3], append(append([]byte(nil), p[3:]...), p[:10]...), p[10:], {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
			_, _ = theirs.Write(b) // the end of the test closes it
		}
	}()
	taken, flushed := 0, 0
	l.read(func(got []byte) {
		if !bytes.Equal(got, p) {
			t.Errorf("%x", got)
		}
		taken++
	}, func() error { flushed++; return nil })
	if taken != 2 || flushed != 3 {
		t.Errorf("%d PDUs in %d reads", taken, flushed)
	}
	theirs.Close()
}

func FuzzScanFloorSM(f *testing.F) {
	f.Add(appendFloorSubmit(nil, 1, []byte("MESSAGE sip:1@x SIP/2.0\r\nFrom: <sip:2@x>\r\n\r\ntext"), 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		if v, ok := scanFloorSM(p); ok && (v.registered >= len(p) || len(v.text) > 255) {
			t.Errorf("%+v", v)
		}
		appendFloorSubmit(nil, 1, p, 0) // it must not panic
	})
}

func BenchmarkFloorSubmit(b *testing.B) {
	f := loadFlags{sip: "127.0.0.1:5060", from: "+4915112345678", to: "+4915187654321", length: 80}
	request := []byte("MESSAGE sip:" + f.to + "@" + f.sip + " SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:" + f.from +
		"@x>;tag=1\r\nTo: <sip:1@x>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 80\r\n\r\n" + markText("1a2b3c4d", 0, f.length))
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = appendFloorSubmit(out[:0], 1, request, 0)
	}
}

func BenchmarkFloorRequest(b *testing.B) {
	f := &floor{floorFlags: floorFlags{sink: "127.0.0.1:5070"}, local: "127.0.0.1:5060", tag: "z9hG4bKfloor"}
	v := floorSM{from: []byte("4915112345678"), to: []byte("12345"), text: []byte(markText("1a2b3c4d", 0, 80))}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = f.appendRequest(out[:0], 1, v)
	}
}
