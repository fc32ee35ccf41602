package api

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/examples/httpapi/hook"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/mi"
)

// jasminSend is Jasmin's door for sending: GET or POST /send with the parameters of its HTTP API, in the URL, a form or JSON. The
// answer is Success "id" or Error "why".
func (a *API) jasminSend(w http.ResponseWriter, r *http.Request) {
	v, err := jasminParameters(w, r)
	var id string
	if err == nil {
		id, err = a.jasminAccept(r, v)
	}
	if err != nil {
		a.jasminFail(w, r, v, err)
		return
	}
	fmt.Fprintf(w, "Success \"%s\"", id)
}

func (a *API) jasminAccept(r *http.Request, v url.Values) (id string, err error) {
	for name := range v {
		if !slices.Contains(jasminArguments, name) {
			return "", newProblem(http.StatusBadRequest, "unknown_argument", fmt.Sprintf("Argument [%.40s] is unknown.", name))
		}
	}
	for _, name := range []string{"to", "username", "password"} {
		if v.Get(name) == "" {
			return "", newProblem(http.StatusBadRequest, "no_argument", fmt.Sprintf("Mandatory argument [%s] is not found.", name))
		}
	}
	c, err := a.login(r, v.Get("username"), v.Get("password"))
	if err != nil {
		return "", err
	}
	d, err := a.jasminDraft(v)
	if err != nil {
		return "", err
	}
	messages, err := a.prepare(r.Context(), c, d)
	if err != nil {
		return "", err
	}
	_, _, err = a.accept(r.Context(), store.Request{Customer: c, Messages: messages, Answer: func(m []store.Message) ([]byte, error) {
		id = m[0].ID
		return nil, nil
	}})
	return id, err
}

// jasminArguments are those that Jasmin knows.
var jasminArguments = []string{"to", "from", "coding", "username", "password", "priority", "sdt", "validity-period", "dlr", "dlr-url", "dlr-level",
	"dlr-method", "tags", "content", "hex-content", "custom_tlvs"}

// jasminFail answers as Jasmin does.
func (a *API) jasminFail(w http.ResponseWriter, r *http.Request, v url.Values, err error) {
	if errors.Is(err, errLogin) {
		jasminError(w, http.StatusForbidden, "Authentication failure for username:"+v.Get("username"))
		return
	}
	p := problemOf(err, a.log.With("request", requestID(r)))
	p.headers(w)
	switch p.Status {
	case http.StatusUnprocessableEntity:
		detail := p.Detail
		if v.Has(p.Field) {
			detail = fmt.Sprintf("Argument [%s] has an invalid value: [%.100s].", p.Field, v.Get(p.Field))
		}
		jasminError(w, http.StatusBadRequest, detail)
	case http.StatusForbidden:
		jasminError(w, http.StatusForbidden, "Authorization failed for username:"+v.Get("username"))
	case http.StatusPaymentRequired:
		jasminError(w, http.StatusForbidden, "Cannot charge submit_sm, check RouterPB log file for details")
	case http.StatusTooManyRequests:
		jasminError(w, http.StatusForbidden, "User throughput exceeded")
	case http.StatusServiceUnavailable:
		jasminError(w, http.StatusInternalServerError, "Cannot send submit_sm, check SMPPClientManagerPB log file for details")
	default:
		jasminError(w, p.Status, p.Detail)
	}
}

func jasminError(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "Error %q", text)
}

func jasminParameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	switch r.Method {
	case http.MethodGet:
		return query(r.URL.RawQuery)
	case http.MethodPost:
	default:
		return nil, newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "want GET or POST")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, newProblem(http.StatusRequestEntityTooLarge, "too_large", "the body is too large, or did not come whole")
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" { // what it is not, it is not
		v, err := query(string(body))
		if err != nil {
			return nil, err
		}
		inURL, err := query(r.URL.RawQuery)
		for name, values := range inURL {
			if !v.Has(name) {
				v[name] = values
			}
		}
		return v, err
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber() // the tags' numbers have up to 64 bits
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, newProblem(http.StatusBadRequest, "not_json", "the body is no JSON object")
	}
	v := make(url.Values)
	for name, value := range object {
		switch value := value.(type) {
		case string:
			v.Set(name, value)
		case json.Number:
			v.Set(name, value.String())
		default:
			text, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			v.Set(name, string(text))
		}
	}
	return v, nil
}

func (a *API) jasminDraft(v url.Values) (d draft, err error) {
	d = draft{From: v.Get("from"), To: []string{v.Get("to")}, Callback: store.Callback{Style: "jasmin"}}
	p := &d.Params
	coding, err := number(v, 14, "coding")
	if err != nil || coding == 11 || coding == 12 {
		return d, badField("coding", "want one of 0 to 10, 13 and 14")
	}
	if err := jasminContent(p, max(coding, 0), v); err != nil {
		return d, err
	}
	priority, err := number(v, 3, "priority")
	if err != nil {
		return d, err
	}
	p.Priority = uint8(max(priority, 0))
	minutes, err := number(v, yearInMinutes, "validity-period")
	if err != nil {
		return d, err
	}
	p.Validity = uint32(max(minutes, 0)) * 60
	if sdt := v.Get("sdt"); sdt != "" {
		if d.SendAt, err = smppTime(sdt, time.Now()); err != nil {
			return d, badField("sdt", err.Error())
		}
	}
	if custom := v.Get("custom_tlvs"); custom != "" {
		if p.TLVs, err = jasminTLVs(custom); err != nil {
			return d, badField("custom_tlvs", err.Error())
		}
	}
	return d, a.jasminCallback(&d.Callback, v)
}

func (a *API) jasminCallback(c *store.Callback, v url.Values) error {
	switch v.Get("dlr") {
	case "", "no":
		return nil
	case "yes":
	default:
		return badField("dlr", "want yes or no")
	}
	if c.URL = v.Get("dlr-url"); c.URL == "" {
		return nil // "dlr value is reconsidered as 'no'"
	}
	if err := hook.CheckURL(c.URL, a.options.PrivateWebhooks); err != nil {
		return badField("dlr-url", err.Error())
	}
	const submitted, terminal = store.MaskSent | store.MaskRejected, store.MaskDelivered | store.MaskUndelivered | store.MaskRejected
	switch v.Get("dlr-level") {
	case "", "1":
		c.Mask = submitted
	case "2":
		c.Mask = terminal
	case "3":
		c.Mask = submitted | terminal
	default:
		return badField("dlr-level", "want 1, 2 or 3")
	}
	switch strings.ToUpper(v.Get("dlr-method")) {
	case "", "POST":
		c.Post = true
	case "GET":
	default:
		return badField("dlr-method", "want GET or POST")
	}
	return nil
}

// jasminContent reads content or hex-content, which are in the coding that is named.
func jasminContent(p *mi.MessageSendParams, coding int, v url.Values) error {
	dcs := uint8(coding)
	if v.Has("hex-content") {
		var octets mi.Hex
		if err := octets.UnmarshalText([]byte(v.Get("hex-content"))); err != nil || len(octets) == 0 {
			return badField("hex-content", "want hexadecimal digits")
		}
		if coding == 8 {
			text, err := decodeCharset(string(octets), "UTF-16BE")
			p.Text, p.Coding = text, "ucs2"
			return err
		}
		p.Data, p.DataCoding = octets, &dcs
		return nil
	}
	content := v.Get("content")
	switch coding {
	case 0:
	case 1:
		p.Coding = "ascii"
	case 3:
		p.Coding = "latin1"
	case 8:
		p.Coding = "ucs2"
		// Jasmin's own example gives the octets of UTF-16, others give UTF-8: a text has no control characters.
		if isUTF16(content) {
			text, err := decodeCharset(content, "UTF-16BE")
			p.Text = text
			return err
		}
	case 2, 4:
		p.Data, p.DataCoding = mi.Hex(content), &dcs
		return nil
	default:
		p.DataCoding = &dcs
	}
	var err error
	p.Text, err = decodeCharset(content, "UTF-8")
	return err
}

func isUTF16(s string) bool {
	return len(s)%2 == 0 && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' })
}

// jasminTLVs reads {"0x1400": "value", "0x1401:Int8": 7}.
func jasminTLVs(s string) (mi.TLVs, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, errors.New(`want an object: {"0x1400": "value"}`)
	}
	tlvs := make(mi.TLVs)
	for key, value := range object {
		tag, kind, _ := strings.Cut(key, ":")
		text := fmt.Sprint(value)
		switch kind {
		case "", "OctetString":
			tlvs[tag] = hex.EncodeToString([]byte(text))
		case "COctetString":
			tlvs[tag] = hex.EncodeToString([]byte(text + "\x00"))
		case "Int1", "Int2", "Int4", "Int8":
			octets := int(kind[3] - '0')
			n, err := strconv.ParseUint(text, 10, 8*octets)
			if err != nil {
				return nil, fmt.Errorf("%s: want a whole number of %d octets", key, octets)
			}
			tlvs[tag] = hex.EncodeToString(binary.BigEndian.AppendUint64(nil, n)[8-octets:])
		default:
			return nil, fmt.Errorf("%s: its type is not known", key)
		}
	}
	return tlvs, nil
}

// smppTime reads an absolute or relative time (SMPP 3.4, 7.1.1).
func smppTime(s string, now time.Time) (time.Time, error) {
	bad := errors.New("want a time of SMPP, as 000000000100000R (in a minute)")
	if len(s) != 16 {
		return time.Time{}, bad
	}
	var f [8]int // year month day hour minute second tenth quarters
	for i, width := 0, 0; i < len(f); i++ {
		w := 2
		if i == 6 {
			w = 1
		}
		n, err := strconv.Atoi(s[width : width+w])
		if err != nil || n < 0 {
			return time.Time{}, bad
		}
		f[i] = n
		width += w
	}
	switch s[15] {
	case 'R':
		return now.AddDate(f[0], f[1], f[2]).Add(time.Duration(f[3])*time.Hour + time.Duration(f[4])*time.Minute + time.Duration(f[5])*time.Second), nil
	case '+', '-':
		offset := time.Duration(f[7]) * 15 * time.Minute
		if s[15] == '-' {
			offset = -offset
		}
		at := time.Date(2000+f[0], time.Month(f[1]), f[2], f[3], f[4], f[5], f[6]*int(100*time.Millisecond), time.UTC)
		return at.Add(-offset), nil
	}
	return time.Time{}, bad
}

// jasminRate tells what a message would cost.
func (a *API) jasminRate(w http.ResponseWriter, r *http.Request) {
	v, err := jasminParameters(w, r)
	var c store.Customer
	if err == nil {
		c, err = a.login(r, v.Get("username"), v.Get("password"))
	}
	var price store.Amount
	segments := 1
	if err == nil {
		price, err = a.db.PriceTo(r.Context(), c, v.Get("to"))
	}
	if err == nil && v.Get("content") != "" {
		var p mi.MessageSendParams
		if err = jasminContent(&p, 0, v); err == nil {
			segments, err = a.segments(p)
		}
	}
	if err != nil {
		a.jasminFail(w, r, v, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"submit_sm_count": %d, "unit_rate": %s}`, segments, price)
}

// jasminBalance tells what is left.
func (a *API) jasminBalance(w http.ResponseWriter, r *http.Request) {
	v, err := jasminParameters(w, r)
	var c store.Customer
	if err == nil {
		c, err = a.login(r, v.Get("username"), v.Get("password"))
	}
	if err != nil {
		a.jasminFail(w, r, v, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"balance": %s, "sms_count": "ND"}`, c.Balance)
}
