package sip

import "bytes"

// maxSkip is how much of a body that is too large is read away, so that the connection lives on; beyond it, it is closed.
const maxSkip = 1 << 20

// frame is one message taken off a stream.
type frame struct {
	octets []byte // valid until the next call of space
	code   int    // not 0: octets are the head alone, and this is the answer that it gets
	reason string
	ping   bool // a double CRLF that asks for a CRLF (RFC 5626, 4.4.1)
	last   bool // where the next message begins cannot be told, or the peer is not worth finding it: close
}

// framer finds the messages in a stream by their Content-Length (RFC 3261, 7.5 and 18.3).
type framer struct {
	maxBody    int
	buf        []byte
	start, end int  // of what is in buf and not yet taken
	searched   int  // from start: no end of a head is in there
	need       int  // from start: the length of a message whose head was read; 0: it was not
	skip       int  // octets still to come of a body that is too large
	crlf       bool // one CRLF was taken, which may be half a ping
	scratch    message
}

// space is where the next octets are read to. It is never empty.
func (f *framer) space() []byte {
	if f.start == f.end {
		f.start, f.end = 0, 0
		if len(f.buf) > 16<<10 {
			f.buf = nil // one large message must not make the connection large for good
		}
	}
	if f.end == len(f.buf) {
		if f.start > 0 {
			copy(f.buf, f.buf[f.start:f.end])
			f.start, f.end = 0, f.end-f.start
		} else {
			// next takes or refuses what is larger than a head and a body may be, so this stays below twice that.
			grown := make([]byte, max(4096, 2*len(f.buf)))
			copy(grown, f.buf[:f.end])
			f.buf = grown
		}
	}
	return f.buf[f.end:]
}

// filled says that n octets were read to space.
func (f *framer) filled(n int) { f.end += n }

// partial says that a message has begun and not ended.
func (f *framer) partial() bool { return f.end > f.start || f.skip > 0 }

// next takes the next message. It is false if more must be read first.
func (f *framer) next() (frame, bool) {
	if f.skip > 0 {
		n := min(f.skip, f.end-f.start)
		f.skip -= n
		f.start += n
		if f.skip > 0 {
			return frame{}, false
		}
	}
	if fr, ok := f.lineEnds(); ok {
		return fr, true
	}
	b := f.buf[f.start:f.end]
	if len(b) == 0 || len(b) < f.need {
		return frame{}, false
	}
	i := bytes.Index(b[f.searched:], []byte("\r\n\r\n"))
	if i < 0 {
		if len(b) > maxHead {
			return frame{last: true}, true
		}
		f.searched = max(0, len(b)-3)
		return frame{}, false
	}
	n := f.searched + i + 4
	if n > maxHead || !f.scratch.scan(b[:n]) {
		return frame{last: true}, true
	}
	length := f.scratch.length
	switch {
	case length < 0:
		return frame{octets: b[:n], code: 400, reason: "Content-Length Is Needed Here", last: true}, true
	case length > f.maxBody:
		f.start, f.searched, f.skip = f.start+n, 0, length
		return frame{octets: b[:n], code: 413, last: length > maxSkip}, true
	case len(b) < n+length:
		f.searched, f.need = n-4, n+length
		return frame{}, false
	}
	f.start, f.searched, f.need = f.start+n+length, 0, 0
	return frame{octets: b[:n+length]}, true
}

// lineEnds takes the CRLFs before a message (RFC 3261, 7.5). Two in a row are a ping, also where they come apart.
func (f *framer) lineEnds() (frame, bool) {
	for f.end-f.start >= 2 && string(f.buf[f.start:f.start+2]) == "\r\n" {
		f.start += 2
		f.searched = 0
		if f.crlf = !f.crlf; !f.crlf {
			return frame{ping: true}, true
		}
	}
	if f.end-f.start >= 2 {
		f.crlf = false
	}
	return frame{}, false
}
