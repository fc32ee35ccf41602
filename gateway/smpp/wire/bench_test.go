package wire

import (
	"bytes"
	"testing"

	"sipsmpp/gateway/sms"
)

var benchSM = SM{
	Source: sms.Address{Value: "ACME", TON: 5}, Dest: sms.Address{Value: "4915112345678", TON: 1, NPI: 1},
	RegisteredDelivery: 1, ShortMessage: bytes.Repeat([]byte("x"), 140),
	TLVs: TLVs{{Tag: TagUserMessageReference, Value: []byte{1, 2}}},
}

func BenchmarkAppendSM(b *testing.B) {
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Append(dst, Header{Command: CmdSubmitSM, Sequence: 1}, &benchSM); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeSM(b *testing.B) {
	octets, _ := benchSM.AppendBody(nil)
	var sm SM
	b.ReportAllocs()
	for b.Loop() {
		if err := sm.DecodeBody(octets); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeSMResp(b *testing.B) {
	octets := []byte("4f3a77b2-11\x00")
	var resp SMResp
	b.ReportAllocs()
	for b.Loop() {
		if err := resp.DecodeBody(octets); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	pdu, _ := Append(nil, Header{Command: CmdDeliverSM, Sequence: 1}, &benchSM)
	stream := bytes.Repeat(pdu, 1000)
	src := bytes.NewReader(stream)
	r := NewReader(src, 0)
	b.ReportAllocs()
	b.SetBytes(int64(len(pdu)))
	for b.Loop() {
		if src.Len() == 0 && !r.Ready() {
			src.Reset(stream)
		}
		if _, _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
