package wire

import (
	"bytes"
	"testing"
)

// FuzzDecode feeds every decoder with anything: none may panic, and what decodes must encode to the same octets again, but
// for the bodies that ignore a tail.
func FuzzDecode(f *testing.F) {
	for _, cmd := range commands {
		body := NewBody(cmd)
		octets, _ := body.AppendBody(nil)
		f.Add(uint32(cmd), octets)
	}
	f.Add(uint32(CmdQuerySM), []byte("id\x00\x01\x01123\x00\x04\x24\x00\x00"))
	f.Add(uint32(CmdSubmitSM), []byte("\x00\x05\x00ACME\x00\x01\x014915112345678\x00\x40\x00\x00\x00\x00\x01\x00\x08\x00\x03abc\x02\x0c\x00\x02\x00\x01"))
	f.Add(uint32(CmdSubmitMulti), []byte("\x00\x01\x01100\x00\x02\x01\x01\x01200\x00\x02list\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02hi"))
	f.Fuzz(func(t *testing.T, id uint32, octets []byte) {
		cmd := CommandID(id)
		body := NewBody(cmd)
		if body == nil {
			return
		}
		if err := body.DecodeBody(octets); err != nil {
			if StatusOf(err) == StatusOK || err.Error() == "" {
				t.Fatalf("%v: error %v says nothing", cmd, err)
			}
			return
		}
		again, err := body.AppendBody(nil)
		if err != nil {
			t.Fatalf("%v: decoded, and does not encode: %v\n%x", cmd, err, octets)
		}
		switch body.(type) {
		case *Bind, *Outbind:
			octets = octets[:min(len(again), len(octets))]
		case *SMResp, *BindResp, *QuerySMResp, *SubmitMultiResp:
			if len(octets) == 0 {
				return
			}
		case *SubmitMulti:
			// An empty list name is written as an empty address.
			if bytes.Contains(octets, []byte{destList, 0}) {
				return
			}
		}
		if !bytes.Equal(octets, again) {
			t.Fatalf("%v:\n%x\n%x", cmd, octets, again)
		}
	})
}

// FuzzReader cuts a stream anywhere, and reads it whole and in halves: the PDUs must be the same, and the end an error.
func FuzzReader(f *testing.F) {
	stream, _ := Append(nil, Header{Command: CmdSubmitSM, Sequence: 1}, &SM{ShortMessage: []byte("hello")})
	stream, _ = Append(stream, Header{Command: CmdEnquireLink, Sequence: 2}, nil)
	f.Add(stream, uint16(20))
	f.Add(stream[:30], uint16(3))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16) {
		whole := NewReader(bytes.NewReader(stream), 1000)
		parted := NewReader(&cutReader{stream, int(cut)%32 + 1}, 1000)
		for {
			h, body, err := whole.Next()
			h2, body2, err2 := parted.Next()
			if h != h2 || !bytes.Equal(body, body2) || (err == nil) != (err2 == nil) {
				t.Fatalf("%+v %x %v\n%+v %x %v", h, body, err, h2, body2, err2)
			}
			if err != nil {
				if err.Error() != err2.Error() {
					t.Fatalf("%v, %v", err, err2)
				}
				return
			}
		}
	})
}

// cutReader gives n octets at a time.
type cutReader struct {
	b []byte
	n int
}

func (r *cutReader) Read(p []byte) (int, error) {
	n, err := bytes.NewReader(r.b).Read(p[:min(len(p), r.n)])
	r.b = r.b[n:]
	return n, err
}
