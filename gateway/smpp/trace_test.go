package smpp

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// lines makes what was traced readable.
func lines(d Dissector, traced []TracedPDU) (lines []string) {
	for _, p := range traced {
		line := "received "
		if p.Sent {
			line = "sent "
		}
		line += p.Header.Command.String()
		for _, f := range d.Fields(p) {
			line += fmt.Sprintf(" %s=%s", f.Name, f.Value)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTrace(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.EnquireLink = 0 }))
		p := w.net.next().accept()
		if _, err := w.conns.Trace("nobody", nil); err == nil {
			t.Error("a connection that is not there was traced")
		}
		var mu sync.Mutex
		var traced []TracedPDU
		stop, err := w.conns.Trace("acme", func(p TracedPDU) {
			mu.Lock()
			defer mu.Unlock()
			traced = append(traced, p)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.conns.Rebind("acme"); err != nil { // it goes on over generations
			t.Fatal(err)
		}
		p.unbinds()
		p = w.net.next().accept()
		w.send("Grüße", func(m *sms.Message) { m.TLVs = []sms.TLV{{Tag: 0x1400, Value: []byte("abc")}} })
		sequence, _ := p.submit()
		p.respond(sequence, "17")
		p.send(wire.CmdDeliverSM, 0, 9, deliver("secret words"))
		p.want(wire.CmdDeliverSMResp, 9, 0)
		p.write([]byte{0, 0, 0, 18, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 10, 'x', 'y'})
		p.want(wire.CmdDeliverSMResp, 10, wire.StatusInvalidServiceType)
		synctest.Wait()
		stop()
		w.send("not traced")
		sequence, _ = p.submit()
		p.respond(sequence, "18")
		synctest.Wait()

		mu.Lock()
		defer mu.Unlock()
		at := slices.IndexFunc(traced, func(p TracedPDU) bool { return p.Header.Command == wire.CmdSubmitSM })
		if at < 2 {
			t.Fatalf("%d", at)
		}
		got := lines(Dissector{Alphabet: sms.AlphabetGSM7, TLVNames: "0x1400=operator_id", Text: true}, traced[at-2:])
		want := []string{
			"sent bind_transceiver system_id=gateway password=(not shown) interface_version=0x34",
			"received bind_transceiver_resp system_id=smsc",
			`sent submit_sm source_addr=100 (TON 0, NPI 0) destination_addr=4915112345678 (TON 1, NPI 1) short_message=47727e1e65 text=Grüße operator_id=616263 "abc"`,
			"received submit_sm_resp message_id=17",
			"received deliver_sm source_addr=4915112345678 (TON 1, NPI 1) destination_addr=100 (TON 0, NPI 0) short_message=73656372657420776f726473 text=secret words",
			"sent deliver_sm_resp",
			"received deliver_sm error=smpp: service_type: no NUL ends the string body=7879",
			"sent deliver_sm_resp",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, line := range lines(Dissector{}, traced) {
			if strings.Contains(line, "password=a") || strings.Contains(line, "Grüße") || strings.Contains(line, "secret") ||
				strings.Contains(line, "77") || strings.Contains(line, "7879") {
				t.Errorf("shown without being asked for: %s", line)
			}
		}
		if (*w.conns.table.Load())["acme"].counters.taps.Watched() {
			t.Error("somebody still watches")
		}
	})
}

// A bind that does not parse has its password in it all the same.
func TestBrokenBindIsNotShown(t *testing.T) {
	for _, command := range []wire.CommandID{wire.CmdBindTransceiver, wire.CmdBindReceiver, wire.CmdOutbind} {
		fields := Dissector{Text: true}.Fields(TracedPDU{Header: wire.Header{Command: command}, Body: []byte("a\x00secret")})
		if len(fields) != 2 || fields[0].Name != "error" || strings.Contains(fields[0].Value, "secret") || fields[1].Value != "8 octets "+redacted {
			t.Errorf("%v: %v", command, fields)
		}
	}
}

func TestFieldNames(t *testing.T) {
	for _, c := range []struct {
		body wire.Body
		want string
	}{
		{&wire.SM{}, "service_type source_addr destination_addr esm_class protocol_id priority_flag schedule_delivery_time validity_period " +
			"registered_delivery replace_if_present_flag data_coding sm_default_msg_id short_message"},
		{&wire.Bind{}, "system_id password system_type interface_version addr_ton addr_npi address_range"},
		{&wire.QuerySMResp{}, "message_id final_date message_state error_code"},
	} {
		var got []string
		for _, name := range fieldsOf(c.body) {
			if name = fieldName(name); name != "tlvs" && name != "tl_vs" {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("got  %s\nwant %s", strings.Join(got, " "), c.want)
		}
	}
}

func fieldsOf(body wire.Body) (names []string) {
	for field := range reflect.TypeOf(body).Elem().Fields() {
		names = append(names, field.Name)
	}
	return names
}

func FuzzDissector(f *testing.F) {
	sm, _ := deliver("text").AppendBody(nil)
	f.Add(uint32(wire.CmdDeliverSM), sm)
	f.Add(uint32(wire.CmdSubmitMulti), []byte{0})
	f.Add(uint32(wire.CmdBindTransceiver), []byte("a\x00secret\x00\x00\x34\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, command uint32, body []byte) {
		p := TracedPDU{Header: wire.Header{Command: wire.CommandID(command)}, Body: body}
		for _, d := range []Dissector{{}, {Text: true}, {Text: true, Alphabet: sms.AlphabetGSM7Packed}} {
			for _, field := range d.Fields(p) {
				if field.Name == "password" && field.Value != redacted {
					t.Fatalf("%q", field)
				}
			}
		}
	})
}
