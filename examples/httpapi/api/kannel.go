package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/ianaindex"

	"sipsmpp/examples/httpapi/hook"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/mi"
)

// kannel is smsbox's door for sending: GET /cgi-bin/sendsms with the parameters of table 7-17 of Kannel's user guide, or POST with them in
// a form, or in X-Kannel headers (table 7-11) and the text as body. The answers are those of table 7-16.
func (a *API) kannel(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusAccepted, "0: Accepted for delivery"
	scheduled, err := a.kannelSend(w, r)
	switch p := (*problem)(nil); {
	case err == nil && scheduled:
		text = "3: Queued for later delivery"
	case err == nil:
	case errors.Is(err, errLogin):
		status, text = http.StatusForbidden, "Authorization failed for sendsms"
	default:
		p = problemOf(err, a.log.With("request", requestID(r)))
		p.headers(w)
		if status, text = p.Status, p.Detail; status == http.StatusUnprocessableEntity {
			status = http.StatusBadRequest
		}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			status, text = http.StatusServiceUnavailable, "Temporal failure, try again later."
		}
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // who asked has gone
}

func (a *API) kannelSend(w http.ResponseWriter, r *http.Request) (scheduled bool, err error) {
	v, err := kannelParameters(w, r)
	if err != nil {
		return false, err
	}
	c, err := a.login(r, first(v, "username", "user"), first(v, "password", "pass"))
	if err != nil {
		return false, err
	}
	d, err := a.kannelDraft(v)
	if err != nil {
		return false, err
	}
	messages, err := a.prepare(r.Context(), c, d)
	if err != nil {
		return false, err
	}
	_, _, err = a.accept(r.Context(), store.Request{Customer: c, Messages: messages, Answer: noAnswer})
	return !d.SendAt.IsZero(), err
}

// noAnswer is the answer that nobody keeps.
func noAnswer([]store.Message) ([]byte, error) { return nil, nil }

// kannelHeaders are the parameters that come in a header of the same name behind X-Kannel-.
var kannelHeaders = []string{"username", "password", "from", "to", "udh", "mclass", "mwi", "coding", "validity", "deferred", "dlr-mask", "dlr-url", "pid", "binfo", "priority"}

func kannelParameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodGet {
		return query(r.URL.RawQuery)
	}
	if r.Method != http.MethodPost {
		return nil, newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "want GET or POST")
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what it is not, it is not
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, newProblem(http.StatusRequestEntityTooLarge, "too_large", "the body is too large, or did not come whole")
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		return query(string(body))
	case "text/plain", "text/html", "application/octet-stream":
	default:
		return nil, newProblem(http.StatusUnsupportedMediaType, "unknown_type", "Unsupported content-type, rejected")
	}
	v := url.Values{"text": {string(body)}}
	for _, name := range kannelHeaders {
		if value := r.Header.Get("X-Kannel-" + name); value != "" {
			v.Set(name, value)
		}
	}
	if v.Has("udh") { // in a header it is hexadecimal
		var udh mi.Hex
		if err := udh.UnmarshalText([]byte(v.Get("udh"))); err != nil {
			return nil, badField("udh", err.Error())
		}
		v.Set("udh", string(udh))
	}
	if kind == "application/octet-stream" && !v.Has("coding") {
		v.Set("coding", "1")
	}
	if params["charset"] != "" {
		v.Set("charset", params["charset"])
	}
	return v, nil
}

// query reads parameters whose values may be any octets.
func query(s string) (url.Values, error) {
	v, err := url.ParseQuery(s)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "bad_query", "the parameters are not URL-encoded as they must be: "+err.Error())
	}
	return v, nil
}

func first(v url.Values, names ...string) string {
	for _, name := range names {
		if v.Has(name) {
			return v.Get(name)
		}
	}
	return ""
}

// number reads a parameter that is a whole number up to most; without one it is -1.
func number(v url.Values, most int, names ...string) (int, error) {
	s := first(v, names...)
	if s == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, badField(names[0], "want a whole number from 0 to "+strconv.Itoa(most))
	}
	return n, nil
}

const yearInMinutes = 366 * 24 * 60

func (a *API) kannelDraft(v url.Values) (draft, error) {
	d := draft{From: first(v, "from"), To: strings.Fields(first(v, "to"))}
	if len(d.To) == 0 {
		return d, newProblem(http.StatusBadRequest, "no_recipient", "Missing receiver number, rejected")
	}
	p := &d.Params
	n := make(map[string]int)
	for _, f := range []struct {
		most  int
		names []string
	}{{2, []string{"coding"}}, {3, []string{"mclass", "flash"}}, {7, []string{"mwi"}}, {yearInMinutes, []string{"validity"}}, {yearInMinutes, []string{"deferred"}},
		{31, []string{"dlr-mask", "dlrmask"}}, {255, []string{"pid"}}, {3, []string{"priority"}}} {
		value, err := number(v, f.most, f.names...)
		if err != nil {
			return d, err
		}
		n[f.names[0]] = value
	}
	udh := first(v, "udh")
	if udh != "" {
		if int(udh[0])+1 != len(udh) {
			return d, badField("udh", "its first octet is not its length")
		}
		p.UDH = mi.Hex(udh[1:])
	}
	coding := n["coding"]
	if coding < 0 && udh != "" {
		coding = 1 // "unless a udh is defined, which sets coding to 8bits"
	}
	if err := kannelText(p, coding, first(v, "text"), first(v, "charset")); err != nil {
		return d, err
	}
	if class := n["mclass"]; class >= 0 {
		octet := uint8(class)
		p.Class = &octet
	}
	if mwi := n["mwi"]; mwi >= 0 { // 3GPP TS 23.038, 4: waiting indication; the text is stored where there is one
		dcs := uint8(0xD0)
		switch {
		case coding == 2:
			dcs = 0xE0
		case p.Text == "":
			dcs = 0xC0
		}
		if mwi < 4 {
			dcs |= 0x08
		}
		dcs |= uint8(mwi & 3)
		p.DataCoding = &dcs
	}
	if minutes := n["validity"]; minutes > 0 {
		p.Validity = uint32(minutes) * 60
	}
	if minutes := n["deferred"]; minutes > 0 {
		d.SendAt = time.Now().Add(time.Duration(minutes) * time.Minute)
	}
	p.ProtocolID = uint8(max(0, n["pid"]))
	p.Priority = uint8(max(0, n["priority"]))
	p.ServiceType = first(v, "binfo")
	if mask := n["dlr-mask"]; mask > 0 {
		address := first(v, "dlr-url", "dlrurl")
		// The escapes are no valid octets of a URL: what it is without them is checked.
		if err := hook.CheckURL(strings.ReplaceAll(address, "%", ""), a.options.PrivateWebhooks); err != nil {
			return d, badField("dlr-url", err.Error())
		}
		d.Callback = store.Callback{Style: "kannel", URL: address, Mask: mask}
	} else {
		d.Callback = store.Callback{Style: "kannel"} // no report is wanted
	}
	return d, nil
}

// kannelText makes the octets of parameter text what they are: 8-bit data, or characters of a charset.
func kannelText(p *mi.MessageSendParams, coding int, text, charset string) error {
	if coding == 1 {
		octets := uint8(4) // SMPP 3.4, 5.2.19
		p.Data, p.DataCoding = mi.Hex(text), &octets
		return nil
	}
	if charset == "" {
		charset = "UTF-8"
		if coding == 2 {
			charset = "UTF-16BE"
		}
	}
	if coding == 2 {
		p.Coding = "ucs2"
	}
	decoded, err := decodeCharset(text, charset)
	if err != nil {
		return err
	}
	p.Text = decoded
	return nil
}

func decodeCharset(text, charset string) (string, error) {
	if strings.EqualFold(charset, "UTF-8") {
		if !utf8.ValidString(text) {
			return "", badField("text", "it is not UTF-8: name its charset")
		}
		return text, nil
	}
	e, err := ianaindex.MIME.Encoding(charset)
	if err != nil || e == nil {
		return "", badField("charset", "it is not known")
	}
	decoded, err := e.NewDecoder().String(text)
	if err != nil || strings.ContainsRune(decoded, utf8.RuneError) {
		return "", badField("text", "it is not "+charset)
	}
	return decoded, nil
}
