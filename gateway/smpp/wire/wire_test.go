package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"sipsmpp/gateway/sms"
)

// commands are all that have a body here.
var commands = []CommandID{
	CmdGenericNack, CmdBindReceiver, CmdBindReceiverResp, CmdBindTransmitter, CmdBindTransmitterResp, CmdQuerySM,
	CmdQuerySMResp, CmdSubmitSM, CmdSubmitSMResp, CmdDeliverSM, CmdDeliverSMResp, CmdUnbind, CmdUnbindResp, CmdReplaceSM,
	CmdReplaceSMResp, CmdCancelSM, CmdCancelSMResp, CmdBindTransceiver, CmdBindTransceiverResp, CmdOutbind, CmdEnquireLink,
	CmdEnquireLinkResp, CmdSubmitMulti, CmdSubmitMultiResp, CmdAlertNotification, CmdDataSM, CmdDataSMResp,
}

// fillBody sets every field of a body to something random that its field on the wire can hold.
func fillBody(r *rand.Rand, v reflect.Value) {
	text := func(n int) string {
		b := make([]byte, r.IntN(n+1))
		for i := range b {
			b[i] = byte(1 + r.IntN(255))
		}
		return string(b)
	}
	address := func() sms.Address {
		return sms.Address{Value: text(20), TON: sms.TON(r.IntN(256)), NPI: sms.NPI(r.IntN(256))}
	}
	for i := range v.NumField() {
		switch f, name := v.Field(i), v.Type().Field(i).Name; f.Interface().(type) {
		case string:
			switch name {
			case "ServiceType":
				f.SetString(text(5))
			case "ScheduleDeliveryTime", "ValidityPeriod", "FinalDate":
				f.SetString(text(16))
			default:
				f.SetString(text(40))
			}
		case uint8:
			f.SetUint(uint64(r.IntN(256)))
		case []byte:
			f.SetBytes([]byte(text(255)))
		case sms.Address:
			f.Set(reflect.ValueOf(address()))
		case TLVs:
			var tlvs TLVs
			for range r.IntN(4) {
				tlvs = append(tlvs, sms.TLV{Tag: uint16(r.IntN(4)), Value: []byte(text(300))})
			}
			f.Set(reflect.ValueOf(tlvs))
		case []MultiDest:
			var dests []MultiDest
			for range r.IntN(4) {
				dests = append(dests, MultiDest{Address: address()}, MultiDest{List: "l" + text(18)})
			}
			f.Set(reflect.ValueOf(dests))
		case []MultiFailure:
			var failed []MultiFailure
			for range r.IntN(4) {
				failed = append(failed, MultiFailure{Dest: address(), Status: Status(r.Uint32())})
			}
			f.Set(reflect.ValueOf(failed))
		default:
			panic("no way to fill " + name)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, cmd := range commands {
		for range 200 {
			body := NewBody(cmd)
			fillBody(r, reflect.ValueOf(body).Elem())
			h := Header{Command: cmd, Status: Status(r.Uint32()), Sequence: r.Uint32()}
			first, err := Append([]byte("before"), h, body)
			if err != nil {
				t.Fatalf("%v: %v", cmd, err)
			}
			reader := NewReader(bytes.NewReader(first[len("before"):]), 0)
			got, octets, err := reader.Next()
			if err != nil || got != h {
				t.Fatalf("%v: header %+v, %v; want %+v", cmd, got, err, h)
			}
			again := NewBody(cmd)
			if err := again.DecodeBody(octets); err != nil {
				t.Fatalf("%v: %v\n%x", cmd, err, octets)
			}
			second, err := Append([]byte("before"), h, again)
			if err != nil || !bytes.Equal(first, second) {
				t.Fatalf("%v: %v\n%x\n%x", cmd, err, first, second)
			}
		}
	}
}

func TestTLVsStayAsTheyCame(t *testing.T) {
	want := TLVs{
		{Tag: 0x1403, Value: []byte{1, 2}}, {Tag: TagMessagePayload, Value: []byte{}}, {Tag: 0x1403, Value: []byte{1, 2}},
		{Tag: TagReceiptedMessageID, Value: []byte("abc\x00")}, {Tag: 5, Value: bytes.Repeat([]byte{7}, 0x8001)},
	}
	pdu, err := Append(nil, Header{Command: CmdDeliverSM, Sequence: 1}, &SM{DataCoding: 0xF5, TLVs: want})
	if err != nil {
		t.Fatal(err)
	}
	var sm SM
	if err := sm.DecodeBody(pdu[HeaderLen:]); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(sm.TLVs, want) || sm.DataCoding != 0xF5 {
		t.Fatalf("data_coding 0x%02X, TLVs %v", sm.DataCoding, sm.TLVs)
	}
	if v, ok := sm.TLVs.Get(TagMessagePayload); !ok || len(v) != 0 {
		t.Fatal("the empty message_payload is lost")
	}
	if v, ok := sm.TLVs.Uint(0x1403); !ok || v != 0x0102 {
		t.Fatalf("0x1403 is %d, %v", v, ok)
	}
}

func TestBodyErrors(t *testing.T) {
	valid, err := (&SM{Source: sms.Address{Value: "100"}, Dest: sms.Address{Value: "200"}, ShortMessage: []byte("hi")}).AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		cmd    CommandID
		body   string
		field  string
		err    error
		status Status
	}{
		{"no body", CmdSubmitSM, "", "service_type", ErrCut, StatusInvalidCommandLength},
		{"service_type without NUL", CmdSubmitSM, "abc", "service_type", ErrNoNUL, StatusInvalidServiceType},
		{"service_type too long", CmdSubmitSM, "abcdef\x00", "service_type", ErrTooLong, StatusInvalidServiceType},
		{"source too long", CmdDeliverSM, "\x00\x01\x01" + strings.Repeat("1", 21) + "\x00", "source_addr", ErrTooLong, StatusInvalidSource},
		{"sm_length beyond the body", CmdSubmitSM, string(valid[:len(valid)-3]) + "\x03hi", "short_message", ErrSMLength, StatusInvalidMessageLength},
		{"TLV beyond the body", CmdSubmitSM, string(valid) + "\x04\x24\x00\x05abcd", "tlv", ErrTLV, StatusInvalidTLVStream},
		{"half a TLV", CmdSubmitSM, string(valid) + "\x04\x24", "tlv", ErrTLV, StatusInvalidTLVStream},
		{"dest_flag", CmdSubmitMulti, "\x00\x00\x00\x00\x01\x03", "dest_flag", ErrDestFlag, StatusInvalidDestFlag},
		{"message_id without NUL", CmdSubmitSMResp, "abc", "message_id", ErrNoNUL, StatusInvalidMessageID},
		{"bind cut", CmdBindTransceiver, "a\x00b\x00c\x00\x34", "addr_ton", ErrCut, StatusInvalidCommandLength},
	} {
		err := NewBody(c.cmd).DecodeBody([]byte(c.body))
		var b *BodyError
		if !errors.As(err, &b) || b.Field != c.field || !errors.Is(err, c.err) || StatusOf(err) != c.status {
			t.Errorf("%s: %v, status %v", c.name, err, StatusOf(err))
		}
	}
	var resp SMResp
	if err := resp.DecodeBody([]byte("abc")); err == nil || resp.MessageID != "abc" {
		t.Errorf("an unended message_id is %q, %v", resp.MessageID, err)
	}
	for _, cmd := range commands {
		if body := NewBody(cmd); cmd.IsResp() {
			if err := body.DecodeBody(nil); err != nil {
				t.Errorf("%v without a body: %v", cmd, err)
			}
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for name, body := range map[string]Body{
		"NUL in an address":  &SM{Source: sms.Address{Value: "1\x002"}},
		"address too long":   &SM{Dest: sms.Address{Value: strings.Repeat("1", 21)}},
		"short_message":      &SM{ShortMessage: make([]byte, 256)},
		"TLV":                &DataSM{TLVs: TLVs{{Tag: TagMessagePayload, Value: make([]byte, 0x10000)}}},
		"NUL in a password":  &Bind{Password: "a\x00b"},
		"NUL in a messageid": &SMResp{MessageID: "\x00"},
		"256 destinations":   &SubmitMulti{Dests: make([]MultiDest, 256)},
	} {
		dst, err := Append([]byte("kept"), Header{}, body)
		var b *BodyError
		if !errors.As(err, &b) || string(dst) != "kept" {
			t.Errorf("%s: %q, %v", name, dst, err)
		}
	}
}

func TestPasswordsAreSentWhole(t *testing.T) {
	b := Bind{SystemID: strings.Repeat("s", 40), Password: strings.Repeat("p", 60), InterfaceVersion: 0x34}
	octets, err := b.AppendBody(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got Bind
	if err := got.DecodeBody(octets); err != nil || got != b {
		t.Fatalf("%v", err)
	}
	if s := fmt.Sprintf("%v %+v %#v", &b, &b, &b); strings.Contains(s, "ppp") {
		t.Fatalf("the password shows: %s", s)
	}
}

func TestReader(t *testing.T) {
	var stream []byte
	var want []uint32
	r := rand.New(rand.NewPCG(3, 4))
	for i := range uint32(300) {
		sm := SM{TLVs: TLVs{{Tag: TagMessagePayload, Value: make([]byte, r.IntN(400))}}}
		if i%50 == 0 {
			sm.TLVs[0].Value = make([]byte, 60000)
		}
		stream, _ = Append(stream, Header{Command: CmdDeliverSM, Sequence: i + 1}, &sm)
		want = append(want, i+1)
	}
	for name, src := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"halves": iotest.HalfReader(bytes.NewReader(stream)), "data with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		reader := NewReader(src, 0)
		for _, seq := range want {
			h, body, err := reader.Next()
			if err != nil || h.Sequence != seq {
				t.Fatalf("%s: PDU %d: %+v, %v", name, seq, h, err)
			}
			var sm SM
			if err := sm.DecodeBody(body); err != nil {
				t.Fatalf("%s: PDU %d: %v", name, seq, err)
			}
		}
		if _, _, err := reader.Next(); err != io.EOF {
			t.Fatalf("%s: at the end %v", name, err)
		}
		if len(reader.buf) != readerSize {
			t.Errorf("%s: %d octets of buffer stay", name, len(reader.buf))
		}
	}
}

func TestReaderTakesWhatOneReadBrought(t *testing.T) {
	var stream []byte
	for seq := range uint32(3) {
		stream, _ = Append(stream, Header{Command: CmdEnquireLink, Sequence: seq + 1}, nil)
	}
	reader := NewReader(bytes.NewReader(append(stream, 0, 0, 0, 16, 0)), 0)
	for _, ready := range []bool{true, true, false} {
		if _, _, err := reader.Next(); err != nil || reader.Ready() != ready {
			t.Fatalf("ready %v, %v; want %v", reader.Ready(), err, ready)
		}
	}
	if _, _, err := reader.Next(); err != ErrFrameCut {
		t.Fatalf("within a PDU: %v", err)
	}
}

func TestReaderLimits(t *testing.T) {
	frame := func(n uint32) []byte { return append(binary.BigEndian.AppendUint32(nil, n), make([]byte, 200)...) }
	for _, c := range []struct {
		length uint32
		want   error
	}{{0, ErrFrameShort}, {15, ErrFrameShort}, {16, nil}, {100, nil}, {101, ErrFrameLong}, {0xFFFFFFFF, ErrFrameLong}} {
		reader := NewReader(bytes.NewReader(frame(c.length)), 100)
		if _, _, err := reader.Next(); !errors.Is(err, c.want) {
			t.Errorf("command_length %d: %v, want %v", c.length, err, c.want)
		}
	}
}

// A header that promises much must not make the reader allocate it.
func TestReaderGrowsByWhatArrives(t *testing.T) {
	reader := NewReader(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, DefaultMaxPDU), make([]byte, 100)...)), 0)
	if _, _, err := reader.Next(); err != ErrFrameCut || len(reader.buf) > readerSize {
		t.Fatalf("%d octets of buffer, %v", len(reader.buf), err)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		CmdSubmitSM.String(): "submit_sm", CmdDataSMResp.String(): "data_sm_resp", CmdGenericNack.String(): "generic_nack",
		CommandID(0x10).String(): "command_id(0x00000010)", CommandID(0x80000010).String(): "command_id(0x80000010)",
		StatusThrottled.String(): "ESME_RTHROTTLED (0x58)", Status(0x400).String(): "command_status 0x400",
		StatusInvalidPassword.Text(): "invalid password", Status(0x400).Text(): "the peer's own status 0x400",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, cmd := range commands {
		if strings.HasPrefix(cmd.String(), "command_id") || !cmd.Known() {
			t.Errorf("0x%08X has no name", uint32(cmd))
		}
	}
	if CommandID(0x0A).Known() || CmdOutbind.HasResp() || !CmdSubmitSM.HasResp() || CmdSubmitSMResp.HasResp() {
		t.Error("a command has a response that it has not, or the reverse")
	}
}
