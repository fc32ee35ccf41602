package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"sipsmpp/gateway/sms"
)

// golden are PDUs whose octets stand in testdata/pdus.hex. What an independent decoder, Wireshark's, says of those octets stands
// in testdata/pdus.txt:
//
//	text2pcap -T 2775,2775 pdus.hex pdus.pcap && tshark -r pdus.pcap -O smpp
var golden = []struct {
	name   string
	header Header
	body   Body
}{
	{"bind_transceiver", Header{CmdBindTransceiver, 0, 1}, &Bind{"gateway", "secret08", "SMPP", 0x34, 1, 1, "^49"}},
	{"bind_transceiver_resp", Header{CmdBindTransceiverResp, 0, 1}, &BindResp{"smsc", TLVs{{Tag: TagSCInterfaceVersion, Value: []byte{0x34}}}}},
	{"outbind", Header{CmdOutbind, 0, 1}, &Outbind{"smsc", "secret"}},
	{"submit_sm", Header{CmdSubmitSM, 0, 2}, &SM{
		ServiceType: "CMT", Source: sms.Address{Value: "ACME", TON: 5}, Dest: sms.Address{Value: "4915112345678", TON: 1, NPI: 1},
		ESMClass: ESMClassUDHI, PriorityFlag: 1, ScheduleDeliveryTime: "261123130506700+", ValidityPeriod: "000001020301000R",
		RegisteredDelivery: RegisteredFinal | RegisteredIntermediate, DataCoding: 8,
		ShortMessage: []byte("\x06\x08\x04\x12\x34\x02\x01\x00\xfc\x20\xac"),
		TLVs:         TLVs{{Tag: TagUserMessageReference, Value: []byte{0x12, 0x34}}, {Tag: 0x1401, Value: []byte("own")}},
	}},
	{"submit_sm_resp", Header{CmdSubmitSMResp, 0, 2}, &SMResp{MessageID: "4f3a-77"}},
	{"submit_sm_resp, refused", Header{CmdSubmitSMResp, StatusThrottled, 3}, nil},
	{"deliver_sm, a receipt", Header{CmdDeliverSM, 0, 7}, &SM{
		Source: sms.Address{Value: "4915112345678", TON: 1, NPI: 1}, Dest: sms.Address{Value: "100"}, ESMClass: ESMClassReceipt,
		ShortMessage: []byte("id:4f3a-77 sub:001 dlvrd:001 submit date:2611231305 done date:2611231306 stat:DELIVRD err:000 text:hi"),
		TLVs: TLVs{
			{Tag: TagReceiptedMessageID, Value: []byte("4f3a-77\x00")}, {Tag: TagMessageState, Value: []byte{2}},
			{Tag: TagNetworkErrorCode, Value: []byte{3, 0, 0}},
		},
	}},
	{"deliver_sm_resp", Header{CmdDeliverSMResp, 0, 7}, &SMResp{}},
	{"data_sm", Header{CmdDataSM, 0, 8}, &DataSM{
		Source: sms.Address{Value: "1"}, Dest: sms.Address{Value: "2"}, DataCoding: 0xF5, RegisteredDelivery: RegisteredFailure,
		TLVs: TLVs{{Tag: TagMessagePayload, Value: []byte{0, 1, 2, 0xFF}}},
	}},
	{"data_sm_resp", Header{CmdDataSMResp, StatusDeliveryFailure, 8}, &SMResp{
		MessageID: "x", TLVs: TLVs{{Tag: TagDeliveryFailureReason, Value: []byte{1}}},
	}},
	{"submit_multi", Header{CmdSubmitMulti, 0, 9}, &SubmitMulti{
		Source:       sms.Address{Value: "100"},
		Dests:        []MultiDest{{Address: sms.Address{Value: "4915112345678", TON: 1, NPI: 1}}, {List: "friends"}},
		ShortMessage: []byte("hello"),
	}},
	{"submit_multi_resp", Header{CmdSubmitMultiResp, 0, 9}, &SubmitMultiResp{
		MessageID: "77", Failed: []MultiFailure{{sms.Address{Value: "4915112345678", TON: 1, NPI: 1}, StatusInvalidDestination}},
	}},
	{"query_sm", Header{CmdQuerySM, 0, 10}, &QuerySM{MessageID: "77", Source: sms.Address{Value: "100"}}},
	{"query_sm_resp", Header{CmdQuerySMResp, 0, 10}, &QuerySMResp{
		MessageID: "77", FinalDate: "261123130506700+", MessageState: 2, ErrorCode: 5,
	}},
	{"cancel_sm", Header{CmdCancelSM, 0, 11}, &CancelSM{
		ServiceType: "CMT", MessageID: "77", Source: sms.Address{Value: "100"}, Dest: sms.Address{Value: "200", TON: 2},
	}},
	{"replace_sm", Header{CmdReplaceSM, 0, 12}, &ReplaceSM{
		MessageID: "77", Source: sms.Address{Value: "100"}, ValidityPeriod: "000001020301000R", RegisteredDelivery: 1,
		ShortMessage: []byte("new"),
	}},
	{"alert_notification", Header{CmdAlertNotification, 0, 13}, &AlertNotification{
		Source: sms.Address{Value: "4915112345678", TON: 1, NPI: 1}, ESME: sms.Address{Value: "100"},
		TLVs: TLVs{{Tag: TagMSAvailabilityStatus, Value: []byte{0}}},
	}},
	{"enquire_link", Header{CmdEnquireLink, 0, 14}, nil},
	{"enquire_link_resp", Header{CmdEnquireLinkResp, 0, 14}, nil},
	{"unbind", Header{CmdUnbind, 0, 0x7FFFFFFF}, nil},
	{"unbind_resp", Header{CmdUnbindResp, 0, 0x7FFFFFFF}, nil},
	{"generic_nack", Header{CmdGenericNack, StatusInvalidCommandID, 15}, nil},
}

func TestGolden(t *testing.T) {
	file, err := os.ReadFile("testdata/pdus.hex")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	if len(lines) != len(golden) {
		t.Fatalf("%d PDUs in the file, %d here", len(lines), len(golden))
	}
	for i, g := range golden {
		want, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(lines[i], "000000 "), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Append(nil, g.header, g.body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%x, want\n%x", g.name, err, got, want)
			continue
		}
		if g.body == nil {
			continue
		}
		body := NewBody(g.header.Command)
		if err := body.DecodeBody(want[HeaderLen:]); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
		tlvs := reflect.ValueOf(body).Elem().FieldByName("TLVs")
		if tlvs.IsValid() && tlvs.Len() == 0 {
			reflect.ValueOf(g.body).Elem().FieldByName("TLVs").Set(tlvs) // none is none, nil or not
		}
		if !reflect.DeepEqual(body, g.body) {
			t.Errorf("%s: %+v, want %+v", g.name, body, g.body)
		}
	}
}
