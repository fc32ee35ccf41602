package wire

// Bind is the body of bind_transmitter, bind_receiver and bind_transceiver (SMPP 3.4, 4.1). It holds a password: String does
// not show it.
type Bind struct {
	SystemID         string
	Password         string
	SystemType       string
	InterfaceVersion uint8
	AddrTON          uint8
	AddrNPI          uint8
	AddressRange     string
}

// String names the ESME alone.
func (p *Bind) String() string { return "bind of " + p.SystemID }

// GoString keeps the password out of %#v.
func (p *Bind) GoString() string { return p.String() }

// AppendBody appends the octets.
func (p *Bind) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fSystemID, p.SystemID)
	w.string(&fPassword, p.Password)
	w.string(&fSystemType, p.SystemType)
	w.uint8(p.InterfaceVersion, p.AddrTON, p.AddrNPI)
	w.string(&fAddressRange, p.AddressRange)
	return w.done()
}

// DecodeBody reads the octets. What follows address_range is ignored: a bind has no optional parameters in SMPP 3.4.
func (p *Bind) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.SystemID = c.string(&fSystemID)
	p.Password = c.string(&fPassword)
	p.SystemType = c.string(&fSystemType)
	p.InterfaceVersion = c.uint8("interface_version")
	p.AddrTON = c.uint8("addr_ton")
	p.AddrNPI = c.uint8("addr_npi")
	p.AddressRange = c.string(&fAddressRange)
	return c.error()
}

// BindResp is the body of a bind's response (SMPP 3.4, 4.1.2). An error response may have none.
type BindResp struct {
	SystemID string
	TLVs     TLVs // sc_interface_version
}

// AppendBody appends the octets.
func (p *BindResp) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fSystemID, p.SystemID)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *BindResp) DecodeBody(b []byte) error {
	if len(b) == 0 {
		p.SystemID, p.TLVs = "", p.TLVs[:0]
		return nil
	}
	c := cursor{b: b}
	p.SystemID = c.string(&fSystemID)
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}

// Outbind is the body of outbind (SMPP 3.4, 4.1.7). It holds a password: String does not show it.
type Outbind struct {
	SystemID string
	Password string
}

// String names the SMSC alone.
func (p *Outbind) String() string { return "outbind of " + p.SystemID }

// GoString keeps the password out of %#v.
func (p *Outbind) GoString() string { return p.String() }

// AppendBody appends the octets.
func (p *Outbind) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fSystemID, p.SystemID)
	w.string(&fPassword, p.Password)
	return w.done()
}

// DecodeBody reads the octets.
func (p *Outbind) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.SystemID = c.string(&fSystemID)
	p.Password = c.string(&fPassword)
	return c.error()
}

// Empty is the body of what has none: enquire_link, unbind, their responses, generic_nack, and the responses of cancel_sm and
// replace_sm. SMPP 5.0 lets optional parameters follow those too.
type Empty struct{ TLVs TLVs }

// AppendBody appends the octets.
func (p *Empty) AppendBody(dst []byte) ([]byte, error) { return appendTLVs(dst, p.TLVs) }

// DecodeBody reads the octets.
func (p *Empty) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}
