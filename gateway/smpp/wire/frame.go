package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// HeaderLen is how many octets a header has, and the least command_length (SMPP 3.4, 3.2).
const HeaderLen = 16

// DefaultMaxPDU is the greatest command_length that a Reader takes unless told otherwise: a message_payload of 64 KiB and
// what stands around it.
const DefaultMaxPDU = 66 << 10

// Errors of the frame. After one of them there is no telling where the next PDU starts: the session must close.
var (
	ErrFrameShort = errors.New("smpp: command_length below 16")
	ErrFrameLong  = errors.New("smpp: command_length above the limit")
	ErrFrameCut   = errors.New("smpp: the stream ended within a PDU")
)

// Header is the header of a PDU without its command_length.
type Header struct {
	Command  CommandID
	Status   Status
	Sequence uint32
}

// Body is what follows the header. NewBody makes the one that a command has.
type Body interface {
	// AppendBody appends the octets. It fails where a field cannot be on the wire: a NUL in a string, or one too long.
	AppendBody(dst []byte) ([]byte, error)
	// DecodeBody reads the octets that follow a header, into an empty or a used value. What it keeps aliases b. Its errors
	// are *BodyError.
	DecodeBody(b []byte) error
}

// Append appends a whole PDU. A nil body makes it header-only, as an error response may be. After an error dst is as it was.
func Append(dst []byte, h Header, body Body) ([]byte, error) {
	start := len(dst)
	dst = AppendHeader(dst, h)
	if body != nil {
		var err error
		if dst, err = body.AppendBody(dst); err != nil {
			return dst[:start], err
		}
	}
	return Finish(dst, start), nil
}

// AppendHeader appends a header whose command_length is that of a PDU without a body.
func AppendHeader(dst []byte, h Header) []byte {
	dst = binary.BigEndian.AppendUint32(dst, HeaderLen)
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Command))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Status))
	return binary.BigEndian.AppendUint32(dst, h.Sequence)
}

// Finish sets the command_length of the PDU that starts at start and ends where dst does.
func Finish(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

// Reader takes PDUs from a stream, as many from one read as it brought.
type Reader struct {
	src        io.Reader
	max        int
	buf        []byte
	start, end int // what buf holds and was not taken
}

// readerSize is the buffer of a reader at rest: some twenty PDUs with a full short message.
const readerSize = 4 << 10

// NewReader reads from src. maxPDU is the greatest command_length; 0: DefaultMaxPDU.
func NewReader(src io.Reader, maxPDU int) *Reader {
	if maxPDU <= 0 {
		maxPDU = DefaultMaxPDU
	}
	return &Reader{src: src, max: maxPDU, buf: make([]byte, readerSize)}
}

// Next gives the next PDU. body is valid until Next is called again. At the end of the stream the error is io.EOF between two
// PDUs and ErrFrameCut within one; any other is src's own, or ErrFrameShort or ErrFrameLong, wrapped.
func (r *Reader) Next() (h Header, body []byte, err error) {
	if r.start == r.end && len(r.buf) > readerSize {
		r.buf, r.start, r.end = make([]byte, readerSize), 0, 0 // one long PDU must not hold its memory for good
	}
	if err := r.fill(HeaderLen); err != nil {
		return Header{}, nil, err
	}
	n, err := r.length()
	if err != nil {
		return Header{}, nil, err
	}
	if err := r.fill(n); err != nil {
		return Header{}, nil, err
	}
	pdu := r.buf[r.start : r.start+n : r.start+n]
	r.start += n
	return Header{
		Command:  CommandID(binary.BigEndian.Uint32(pdu[4:])),
		Status:   Status(binary.BigEndian.Uint32(pdu[8:])),
		Sequence: binary.BigEndian.Uint32(pdu[12:]),
	}, pdu[HeaderLen:], nil
}

// Ready says that Next gives a PDU, or an error, without reading from the stream.
func (r *Reader) Ready() bool {
	if r.end-r.start < HeaderLen {
		return false
	}
	n, err := r.length()
	return err != nil || r.end-r.start >= n
}

// length is the command_length of the PDU whose header is in the buffer.
func (r *Reader) length() (int, error) {
	n := binary.BigEndian.Uint32(r.buf[r.start:])
	if n < HeaderLen {
		return 0, fmt.Errorf("%w: %d", ErrFrameShort, n)
	}
	if n > uint32(r.max) {
		return 0, fmt.Errorf("%w: %d, and it is %d", ErrFrameLong, n, r.max)
	}
	return int(n), nil
}

// fill reads until the buffer holds n octets. It grows the buffer by what arrives, not by what a header promises.
func (r *Reader) fill(n int) error {
	for r.end-r.start < n {
		if r.start > 0 && (r.start == r.end || len(r.buf)-r.start < n) {
			r.end = copy(r.buf, r.buf[r.start:r.end])
			r.start = 0
		}
		if r.end == len(r.buf) {
			grown := make([]byte, min(2*len(r.buf), max(r.max, readerSize)))
			r.end = copy(grown, r.buf[r.start:r.end])
			r.buf, r.start = grown, 0
		}
		m, err := r.src.Read(r.buf[r.end:])
		r.end += m
		if err != nil && r.end-r.start < n {
			if err == io.EOF && r.end > r.start {
				return ErrFrameCut
			}
			return err
		}
	}
	return nil
}
