package wire

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/linxGnu/gosmpp/pdu"

	"sipsmpp/gateway/sms"
)

// tame brings a random body into what gosmpp carries soundly: ASCII of the specification's lengths, one filled optional
// parameter at most, a data_coding that it knows, receipts and headers aside.
func tame(r *rand.Rand, v reflect.Value) {
	text := func(n int) string {
		b := make([]byte, 1+r.IntN(n))
		for i := range b {
			b[i] = byte('0' + r.IntN(10))
		}
		return string(b)
	}
	address := func() sms.Address {
		return sms.Address{Value: text(20), TON: sms.TON(r.IntN(7)), NPI: sms.NPI(r.IntN(2))}
	}
	for i := range v.NumField() {
		switch f, name := v.Field(i), v.Type().Field(i).Name; f.Interface().(type) {
		case string:
			switch name {
			case "ServiceType":
				f.SetString(text(5))
			case "Password":
				f.SetString(text(8))
			case "SystemID":
				f.SetString(text(15))
			case "SystemType":
				f.SetString(text(12))
			case "ScheduleDeliveryTime", "ValidityPeriod", "FinalDate":
				f.SetString("")
			default:
				f.SetString(text(16))
			}
		case uint8:
			if name == "DataCoding" {
				f.SetUint([]uint64{0, 1, 3, 4, 8}[r.IntN(5)])
			} else {
				f.SetUint(uint64(r.IntN(64)) &^ 0x40)
			}
		case []byte:
			f.SetBytes([]byte(text(140)))
		case sms.Address:
			f.Set(reflect.ValueOf(address()))
		case TLVs:
			if r.IntN(2) == 0 {
				f.Set(reflect.ValueOf(TLVs{{Tag: TagUserMessageReference, Value: []byte{1, 2}}}))
			}
		case []MultiDest:
			f.Set(reflect.ValueOf([]MultiDest{{Address: address()}, {List: text(15)}}))
		case []MultiFailure:
			f.Set(reflect.ValueOf([]MultiFailure{{Dest: address(), Status: StatusInvalidDestination}}))
		}
	}
}

// What we write, gosmpp must read and write again octet by octet, where it is sound.
func TestGosmppAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, cmd := range commands {
		for range 50 {
			body := NewBody(cmd)
			tame(r, reflect.ValueOf(body).Elem())
			switch cmd {
			case CmdSubmitSM, CmdDeliverSM, CmdDataSM:
			default: // query_sm with an optional parameter makes gosmpp panic, and others have none in SMPP 3.4
				if tlvs := reflect.ValueOf(body).Elem().FieldByName("TLVs"); tlvs.IsValid() {
					tlvs.SetZero()
				}
			}
			ours, err := Append(nil, Header{Command: cmd, Sequence: 1 + r.Uint32N(1<<30)}, body)
			if err != nil {
				t.Fatalf("%v: %v", cmd, err)
			}
			p, err := pdu.Parse(bytes.NewReader(ours))
			if err != nil {
				t.Fatalf("%v: gosmpp does not read %x: %v", cmd, ours, err)
			}
			buf := pdu.NewBuffer(nil)
			p.Marshal(buf)
			if !bytes.Equal(buf.Bytes(), ours) {
				t.Fatalf("%v: gosmpp writes\n%x, we\n%x", cmd, buf.Bytes(), ours)
			}
		}
	}
}
