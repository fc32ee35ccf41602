package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/linxGnu/gosmpp/pdu"
)

// The commands that the floor knows (SMPP 3.4, 5.1.2.1).
const (
	floorSubmitSM    uint32 = 0x00000004
	floorDeliverSM   uint32 = 0x00000005
	floorBind        uint32 = 0x00000009 // bind_transceiver
	floorEnquireLink uint32 = 0x00000015
	floorResp        uint32 = 0x80000000

	floorHeader = 16
)

// floorLink is the floor's bind to an SMSC.
type floorLink struct {
	conn net.Conn
	in   []byte // read; PDUs, the last of them perhaps not whole
}

// bindFloor binds as a transceiver.
func bindFloor(ctx context.Context, addr string) (*floorLink, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	req := pdu.NewBindRequest(pdu.Transceiver)
	req.SystemID, req.Password = "load", "load"
	b := pdu.NewBuffer(nil)
	req.Marshal(b)
	if _, err := conn.Write(b.Bytes()); err != nil {
		conn.Close()
		return nil, err
	}
	l := &floorLink{conn: conn}
	bound := errors.New("the SMSC closed the socket before it answered the bind")
	l.read(func(p []byte) {
		if bound = nil; binary.BigEndian.Uint32(p[8:]) != 0 {
			bound = fmt.Errorf("the bind was refused with command_status %#02x", binary.BigEndian.Uint32(p[8:]))
		}
	}, func() error { return errBound })
	if bound != nil {
		conn.Close()
		return nil, bound
	}
	return l, nil
}

// errBound ends the reading that waits for the answer to a bind.
var errBound = errors.New("bound")

// read gives each PDU to take, and calls flush after those that one read brought; until the socket is closed or flush fails.
func (l *floorLink) read(take func(p []byte), flush func() error) {
	buffer := make([]byte, 256<<10)
	have := copy(buffer, l.in)
	for {
		n, err := l.conn.Read(buffer[have:])
		if err != nil {
			return
		}
		have += n
		from := 0
		for have-from >= floorHeader {
			length := int(binary.BigEndian.Uint32(buffer[from:]))
			if length < floorHeader || length > len(buffer) {
				return // it is no PDU
			}
			if have-from < length {
				break
			}
			take(buffer[from : from+length])
			from += length
		}
		have = copy(buffer, buffer[from:have])
		if err := flush(); err != nil {
			l.in = append([]byte(nil), buffer[:have]...)
			return
		}
	}
}

func appendFloorHeader(b []byte, command, status, sequence uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, floorHeader)
	b = binary.BigEndian.AppendUint32(b, command)
	b = binary.BigEndian.AppendUint32(b, status)
	return binary.BigEndian.AppendUint32(b, sequence)
}

// appendFloorResponse appends a deliver_sm_resp, whose message_id is empty (SMPP 3.4, 4.6.2), or a bind_transceiver_resp, whose
// system_id is.
func appendFloorResponse(b []byte, command, status, sequence uint32) []byte {
	start := len(b)
	b = append(appendFloorHeader(b, command|floorResp, status, sequence), 0)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// floorStatus is the command_status for a SIP status.
func floorStatus(sip uint32) uint32 {
	if sip < 300 {
		return 0
	}
	return 0x64 // ESME_RX_T_APPN
}

// appendFloorSubmit appends the submit_sm that a MESSAGE becomes: its text as it stands.
func appendFloorSubmit(b []byte, sequence uint32, request []byte, registered byte) []byte {
	_, to, _ := bytes.Cut(request, []byte("sip:"))
	_, from, _ := bytes.Cut(request, []byte("\r\nFrom: <sip:"))
	_, text, _ := bytes.Cut(request, []byte("\r\n\r\n"))
	text = text[:min(len(text), 254)]
	start := len(b)
	b = append(appendFloorHeader(b, floorSubmitSM, 0, sequence), 0) // service_type
	b = appendFloorAddress(b, from)
	b = appendFloorAddress(b, to)
	b = append(b, 0, 0, 0, 0, 0, registered, 0, 0, 0, byte(len(text))) // from esm_class to sm_length
	b = append(b, text...)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// appendFloorAddress appends the user part that uri begins with: an international number.
func appendFloorAddress(b, uri []byte) []byte {
	user, _, _ := bytes.Cut(uri, []byte("@"))
	user = bytes.TrimPrefix(user[:min(len(user), 20)], []byte("+"))
	return append(append(append(b, 1, 1), user...), 0)
}

// floorSM is what the floor must know of a deliver_sm.
type floorSM struct {
	from, to, text []byte
	registered     int // where registered_delivery stands
	receipt        bool
}

// scanFloorSM finds it (SMPP 3.4, 4.6.1).
func scanFloorSM(p []byte) (v floorSM, ok bool) {
	at := floorHeader
	text := func() []byte {
		n := bytes.IndexByte(p[min(at, len(p)):], 0)
		if n < 0 {
			at = len(p) + 1
			return nil
		}
		field := p[at : at+n]
		at += n + 1
		return field
	}
	text() // service_type
	at += 2
	v.from = text()
	at += 2
	v.to = text()
	if at >= len(p) {
		return v, false
	}
	v.receipt = p[at]&0x3C == 0x04
	at += 3
	text()
	text()
	v.registered = at
	at += 5
	if at > len(p) || at+int(p[at-1]) > len(p) {
		return v, false
	}
	v.text = p[at : at+int(p[at-1])]
	return v, true
}
