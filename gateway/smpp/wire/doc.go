// Package wire encodes and decodes SMPP PDUs (SMPP 3.4 issue 1.2, with the statuses and the TLV reading of 5.0).
//
// Its promises: what comes in is kept as it came (data_coding, every TLV in its order, doubled and empty ones too), so that
// decoding and encoding again gives the same octets; no input makes it panic, or allocate more than a PDU's own length asks
// for; what does not parse is a *BodyError that carries the status to answer with, and leaves the stream where the next PDU
// starts. It opens no socket and holds no state beyond a Reader's buffer.
//
// Encoding appends to the caller's slice. Decoded octets (short_message, TLV values) alias the slice that was decoded: copy
// what must outlive it. Decoded strings are copies.
package wire
