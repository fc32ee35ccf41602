package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

func TestConnectionRoundTrip(t *testing.T) {
	full := sms.ConnectionConfig{
		Name: "Größe", Host: "2001:db8::1", Port: 65535, SystemID: strings.Repeat("s", 20),
		Password: "  whole, 'quoted' \"and\" long password é€ ", SystemType: "VMA",
		SourceTON: 5, SourceNPI: 0, DestTON: 1, DestNPI: 18, SessionType: sms.Outbind, Enabled: false, TLS: true, Binds: 4, Window: 100,
		Throughput: 50, EnquireLink: 0, ResponseTimeout: time.Minute, Alphabet: sms.AlphabetGSM7Packed, LongMessage: sms.LongPayload,
		SMSCIDFormat: "hex", Receipt: sms.ReceiptFailure, ValidityDefault: 36 * time.Hour, QueueTimeout: 1500 * time.Millisecond,
		InterfaceVersion: 0x33,
		Statuses:         "0x45=permanent,0x400=throttled", TLVNames: "0x0005=low,0x1400=operator_id",
		TLSFiles: sms.TLSFiles{CA: "/etc/ca.pem", Cert: "cert.pem", Key: "key.pem"}, TLSServerName: "smsc.example",
		Shift: "turkish", Transliterate: true,
	}
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		plain := NewConnection("acme", "smsc.example", 2775)
		for _, c := range []sms.ConnectionConfig{full, plain, full} { // the last is written over the first
			if err := db.PutConnection(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			good, faults, err := db.Connections(t.Context())
			if err != nil || len(faults) > 0 || !slices.Equal(good, []sms.ConnectionConfig{full, plain}) {
				t.Fatalf("%+v, %v, %v", good, faults, err)
			}
		}
		if err := db.DeleteConnection(t.Context(), full.Name); err != nil {
			t.Error(err)
		}
		if err := db.DeleteConnection(t.Context(), full.Name); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		bad := plain
		bad.Port, bad.Window = 0, 0
		err := db.PutConnection(t.Context(), bad)
		if err == nil || !strings.Contains(err.Error(), "smpp[name=acme].port: 0 is not a port") ||
			!strings.Contains(err.Error(), "smpp[name=acme].window: 0 is not a window") {
			t.Errorf("%v", err)
		}
		if good, _, err := db.Connections(t.Context()); err != nil || !slices.Equal(good, []sms.ConnectionConfig{plain}) {
			t.Errorf("%+v, %v", good, err)
		}
	})
}

func TestEveryBadRowIsAFault(t *testing.T) {
	db := open(t, "sqlite::memory:")
	for column, cases := range map[string][][2]string{
		"ip":               {{"''", "it is empty"}, {"'10.0.0.1:2775'", "no address and no host name"}, {"'a b'", "no address"}},
		"port":             {{"70000", "70000 is not a port: want 1 to 65535"}, {"0", "0 is not a port"}, {"'x'", `"x" is not a port`}},
		"src_ton":          {{"7", "7 is not a TON: want 0 to 6"}},
		"src_npi":          {{"-1", "-1 is not an NPI"}},
		"dst_ton":          {{"256", "256 is not a TON"}},
		"dst_npi":          {{"19", "19 is not an NPI: want 0 to 18"}},
		"session_type":     {{"5", "5 is not a session_type: 1 transceiver"}, {"0", "0 is not"}},
		"enabled":          {{"2", "2 is neither 0 nor 1"}},
		"tls":              {{"'maybe'", `"maybe" is neither 0 nor 1`}},
		"binds":            {{"0", "0 is not a number of binds: want 1 to 100"}},
		"window":           {{"0", "0 is not a window"}},
		"throughput":       {{"-5", "-5 is not a throughput"}},
		"enquire_link":     {{"-1", "-1 is not a time in seconds: want 0 to 86400"}},
		"response_timeout": {{"0", "0 is not a time in seconds: want 1 to 3600"}},
		"alphabet":         {{"'ucs2'", `"ucs2" is not known: want gsm7, gsm7-packed, latin1 or ascii`}, {"''", `"" is not known`}},
		"long_message":     {{"'split'", `"split" is not known: want udh16, udh8, sar or payload`}},
		"smsc_id_format":   {{"'octal'", `"octal" is not known`}},
		"options": {{"'{'", "no JSON object"}, {"'[]'", "no JSON object"}, {"'null'", "no JSON object"}, {"'{} x'", "no JSON object"},
			{`'{"recipt": true}'`, `unknown key "recipt": want account, hops_tlv, interface_version, outbind, queue_timeout, receipt, shift, statuses, tls_ca`},
			{`'{"tls_insecure": true}'`, "column tls says not to"}, {`'{"tls_ca": "x"}'`, "column tls says not to"}},
		"options.receipt":           {{`'{"receipt": "sometimes"}'`, `want false, true, "failure" or "all"`}, {`'{"receipt": 1}'`, "1 is not valid"}},
		"options.account":           {{`'{"account": "shop"}'`, "set session_type to 4"}},
		"options.outbind":           {{`'{"outbind": true}'`, "set session_type to 3"}},
		"options.validity":          {{`'{"validity": "soon"}'`, "want seconds"}, {`'{"validity": -1}'`, "want seconds"}, {`'{"validity": 1e300}'`, "want seconds"}, {`'{"validity": "NaN"}'`, "want seconds"}},
		"options.queue_timeout":     {{`'{"queue_timeout": {}}'`, "want seconds"}},
		"options.interface_version": {{`'{"interface_version": 4}'`, `want "3.3", "3.4" or "5.0"`}},
		"options.statuses": {{`'{"statuses": []}'`, "want an object"}, {`'{"statuses": {"0": "permanent"}}'`, "no command_status that refuses"},
			{`'{"statuses": {"x": "permanent"}}'`, "no command_status"}, {`'{"statuses": {"0x45": "fatal"}}'`, "no class: want permanent"},
			{`'{"statuses": {"0x45": "permanent", "69": "throttled"}}'`, "0x45 is given twice"}},
		"options.tlvs": {{`'{"tlvs": null}'`, "want an object"}, {`'{"tlvs": {"0x10000": "a"}}'`, "no tag"}, {`'{"tlvs": {"0x1400": ""}}'`, "no name"},
			{`'{"tlvs": {"0x1400": "0x1401"}}'`, "no name"}, {`'{"tlvs": {"0x1400": "a,b"}}'`, "no name"}, {`'{"tlvs": {"1": "a", "2": "a"}}'`, "given twice"}},
		"options.hops_tlv":      {{`'{"hops_tlv": "0x1000"}'`, "want a tag from 0x1400"}},
		"options.shift":         {{`'{"shift": "klingon"}'`, "want bengali, "}},
		"options.transliterate": {{`'{"transliterate": "maybe"}'`, "want true or false"}},
		"options.tls_ca":        {{`'{"tls_ca": 1}'`, "want a string"}},
		"options.tls_cert":      {{`'{"tls_cert": "x"}'`, "a certificate needs its key"}},
		"options.tls_insecure":  {{`'{"tls_insecure": "maybe"}'`, "want true or false"}},
		"system_id":             {{"'a' || char(0) || 'b'", "it has a NUL"}},
		"password":              {{"'a' || char(0)", "it has a NUL"}},
	} {
		for _, c := range cases {
			bare, _, _ := strings.Cut(column, ".")
			columns, values := "name, ip, port", "'acme', 'host', 2775"
			switch bare {
			case "ip":
				values = "'acme', " + c[0] + ", 2775"
			case "port":
				values = "'acme', 'host', " + c[0]
			default:
				columns, values = columns+`, "`+bare+`"`, values+", "+c[0]
			}
			if _, err := db.write.Exec("INSERT INTO smpp (" + columns + ") VALUES (" + values + ")"); err != nil {
				t.Fatal(err)
			}
			good, faults, err := db.Connections(t.Context())
			if err != nil || len(good) != 0 || len(faults) != 1 || faults[0].Path != "smpp[name=acme]."+column ||
				!strings.Contains(faults[0].Reason, c[1]) {
				t.Errorf("%s = %s: %v, %v, %v", column, c[0], good, faults, err)
			}
			if _, err := db.write.Exec("DELETE FROM smpp"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestNamesAreUniqueAndNotEmpty(t *testing.T) {
	db := open(t, "sqlite::memory:")
	for _, query := range []string{ // OpenSIPS before 3.2 had no unique index
		"DROP TABLE smpp",
		"CREATE TABLE smpp (id INTEGER, name TEXT, ip TEXT, port INTEGER)",
		"INSERT INTO smpp VALUES (1, 'twice', 'a', 1), (2, 'fine', 'b', 2), (3, 'twice', 'c', 3), (4, '', 'd', 4), (5, NULL, NULL, NULL)",
	} {
		if _, err := db.write.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	good, faults, err := db.Connections(t.Context())
	if err != nil || len(good) != 1 || good[0].Name != "fine" {
		t.Errorf("%v, %v", good, err)
	}
	var paths []string
	for _, f := range faults {
		paths = append(paths, f.Path)
	}
	want := []string{"smpp[id=4].name", "smpp[id=5].name", "smpp[id=5].ip", "smpp[id=5].port", "smpp[name=twice].name"}
	if !slices.Equal(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
}

func TestOptionsMeanTheSameHoweverWritten(t *testing.T) {
	db := open(t, "sqlite::memory:")
	want := NewConnection("acme", "host", 1)
	want.Receipt, want.ValidityDefault = sms.ReceiptFinal, 90*time.Second
	for _, text := range []string{
		`{"receipt": true, "validity": 90}`, `{"validity":"90s","receipt":"true"}`,
		`{"receipt": true, "validity": 90, "statuses": {}, "tlvs": {}, "tls_insecure": false, "tls_ca": ""}`,
		` { "validity" : "1m30s" , "receipt" : true , "interface_version": "3.4", "queue_timeout": 0 } `,
	} {
		if _, err := db.write.Exec("DELETE FROM smpp"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.write.Exec("INSERT INTO smpp (name, ip, port, options) VALUES ('acme', 'host', 1, ?)", text); err != nil {
			t.Fatal(err)
		}
		good, faults, err := db.Connections(t.Context())
		if err != nil || len(good) != 1 || good[0] != want {
			t.Errorf("%s: %+v, %v, %v", text, good, faults, err)
		}
	}
}

func FuzzConnectionOptions(f *testing.F) {
	f.Add(`{"receipt": true, "validity": "12h", "queue_timeout": 1.5, "interface_version": "5.0"}`)
	f.Add(`{"receipt": {}}`)
	f.Add(`{"statuses": {"0x45": "permanent", "1024": "throttled"}, "tlvs": {"0x1400": "operator_id"}, "tls_cert": "a", "tls_key": "b"}`)
	f.Fuzz(func(t *testing.T, text string) {
		r := &connectionRow{values: map[string]string{"name": "acme", "ip": "host", "port": "1", "tls": "1", "options": text}}
		r.parse()
		if len(r.faults) > 0 {
			return
		}
		// What was understood is understood the same once it was written.
		again, err := optionsOf(r.config)
		if err != nil {
			t.Fatal(err)
		}
		s := &connectionRow{values: map[string]string{"name": "acme", "ip": "host", "port": "1", "tls": "1", "options": again}}
		if s.parse(); s.config != r.config || len(s.faults) > 0 {
			t.Fatalf("%q became %q: %v", text, again, s.faults)
		}
	})
}
