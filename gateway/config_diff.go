package gateway

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/certs"
	"sipsmpp/gateway/sms"
)

// KeyChange is a key of the configuration whose value in the file is another one than the gateway runs with. Secrets read "***".
type KeyChange struct {
	Key           string // sip.listen; mi.tokens[name=anna]
	Running, File string // as people write them; empty: none
	Restart       bool   // the file's value counts after a restart only
}

// liveKeys are those that count without a restart.
var liveKeys = []string{"log.level", "mi.tokens", "mi.origins", "smpp.default_connection"}

// DiffConfig names the keys in which two configurations differ that have their defaults, in the order of the file.
func DiffConfig(running, file Config) []KeyChange {
	var list []KeyChange
	diffStruct("", reflect.ValueOf(running), reflect.ValueOf(file), &list)
	return list
}

func diffStruct(path string, running, file reflect.Value, list *[]KeyChange) {
	for i := range running.NumField() {
		key := path + running.Type().Field(i).Tag.Get("yaml")
		a, b := running.Field(i), file.Field(i)
		switch {
		case key == "mi.tokens":
			diffTokens(a.Interface().([]MIToken), b.Interface().([]MIToken), list)
		case a.Kind() == reflect.Struct:
			diffStruct(key+".", a, b, list)
		case !reflect.DeepEqual(a.Interface(), b.Interface()) && (shown(key, a) != shown(key, b) || isHidden(key) && fmt.Sprint(a) != fmt.Sprint(b)):
			*list = append(*list, KeyChange{key, shown(key, a), shown(key, b), !slices.Contains(liveKeys, key)})
		}
	}
}

// diffTokens compares the tokens by their names.
func diffTokens(running, file []MIToken, list *[]KeyChange) {
	known := make(map[string]MIToken)
	for _, t := range running {
		known[t.Name] = t
	}
	for _, t := range file {
		was, had := known[t.Name]
		delete(known, t.Name)
		if had && reflect.DeepEqual(was, t) {
			continue
		}
		change := KeyChange{Key: "mi.tokens[name=" + t.Name + "]", File: t.shown()}
		if had {
			change.Running = was.shown()
		}
		*list = append(*list, change)
	}
	for _, t := range running {
		if _, gone := known[t.Name]; gone {
			*list = append(*list, KeyChange{Key: "mi.tokens[name=" + t.Name + "]", Running: t.shown()})
		}
	}
}

// shown is what a token may do, and how its holder is known: of a hash no more than tells it from another.
func (t MIToken) shown() string {
	text := "role " + t.Role
	switch {
	case t.Certificate != "":
		text += ", certificate " + t.Certificate
	case strings.HasPrefix(t.Hash, "file:"):
		text += ", hash " + t.Hash
	default:
		text += ", hash " + t.Hash[:min(8, len(t.Hash))] + "..."
	}
	for _, limit := range []struct {
		name string
		of   List
	}{{"senders", t.Senders}, {"connections", t.Connections}, {"events", t.Events}} {
		if limit.of != nil {
			text += ", " + limit.name + " " + strings.Join(limit.of, " ")
		}
	}
	if t.Throughput > 0 {
		text += fmt.Sprintf(", throughput %d", t.Throughput)
	}
	return text
}

// isHidden says that a key's value may hold a password.
func isHidden(key string) bool {
	return key == "db" || key == "sip.outbound_uri" || strings.Contains(key, "password")
}

func shown(key string, v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case Duration:
		return time.Duration(value).String()
	case List:
		if isHidden(key) {
			value = slices.Clone(value)
			for i := range value {
				value[i] = withoutURIPassword(value[i])
			}
		}
		return strings.Join(value, ", ")
	case []string:
		return strings.Join(value, ", ")
	case string:
		if isHidden(key) {
			return withoutPassword(value)
		}
	}
	return fmt.Sprint(v.Interface())
}

// withoutPassword is a secret as it may be shown: file:PATH, the URL of a database with its password hidden, or "***".
func withoutPassword(s string) string {
	scheme, rest, isURL := strings.Cut(s, "://")
	switch {
	case s == "", strings.HasPrefix(s, "file:"), strings.HasPrefix(s, "sqlite:"):
		return s
	case !isURL || strings.Contains(strings.ToLower(rest), "password"):
		return "***"
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return s
	}
	user, _, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + user + ":***" + rest[at:]
}

// withoutURIPassword is the URI of a next hop, sip:user:password@host, as it may be shown.
func withoutURIPassword(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	scheme, rest, _ := strings.Cut(s[:at], ":")
	user, _, has := strings.Cut(rest, ":")
	if !has {
		return s
	}
	return scheme + ":" + user + ":***" + s[at:]
}

// certificates are the files of each section.
func (c Config) certificates() []certs.Files {
	return []certs.Files{
		{Section: "sip", Cert: c.SIP.TLSCert, Key: c.SIP.TLSKey, CA: c.SIP.TLSCA, CAKey: "tls_ca"}, c.SMPP.Certificates(), c.MI.Certificates(),
	}
}

// CertificateStamps gives of each file with a certificate or a key, by its key, what changes when the file does.
func (c Config) CertificateStamps() map[string]string {
	stamps := make(map[string]string)
	for _, files := range c.certificates() {
		maps.Copy(stamps, files.Stamps())
	}
	return stamps
}

// CheckCertificates names what is wrong with the files of certificates as they are now. Check does not look into them, since they are
// read again without a restart, each section's for itself.
func (c Config) CheckCertificates() (faults []sms.Fault) {
	for _, files := range c.certificates() {
		faults = append(faults, files.CheckFiles()...)
	}
	return faults
}
