package mi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode reads the parameters of a call: an object by name, an array by position, `{}`, `[]`, null or nothing for none. A null
// is a parameter that was left out. Numbers and booleans may come as strings and whole numbers where a string is wanted; one
// string may stand for a list of them, and bare values at the end of an array for a list that is the last parameter. The error
// is of CodeInvalidParams and says which parameter and why.
func (m Method[P, R]) Decode(raw json.RawMessage) (P, *Error) {
	var params P
	err := m.decode(raw, reflect.ValueOf(&params).Elem())
	return params, err
}

func (d *Declaration) decode(raw json.RawMessage, into reflect.Value) *Error {
	given, err := d.spread(raw)
	if err != nil {
		return err
	}
	for i, p := range d.Params {
		value := given[i]
		if value == nil || string(value) == "null" {
			if !p.Optional {
				return invalid(p.Name, "missing; the usage is: %s", d.Usage())
			}
			continue
		}
		if err := unmarshal(value, into.FieldByIndex(p.index)); err != nil {
			return invalid(p.Name, "%s", err)
		}
	}
	return nil
}

// spread gives the values of the parameters in their order, nil for one that was left out.
func (d *Declaration) spread(raw json.RawMessage) ([]json.RawMessage, *Error) {
	raw = bytes.TrimSpace(raw)
	given := make([]json.RawMessage, len(d.Params))
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return given, nil
	case raw[0] == '{':
		return given, d.byName(raw, given)
	case raw[0] == '[':
		return given, d.byPosition(raw, given)
	}
	return nil, invalid("params", "want an object or an array")
}

func (d *Declaration) byName(raw json.RawMessage, given []json.RawMessage) *Error {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(raw, &named); err != nil {
		return invalid("params", "%s", err)
	}
	for i, p := range d.Params {
		if value, ok := named[p.Name]; ok {
			given[i] = value
			delete(named, p.Name)
		}
	}
	if len(named) > 0 {
		return invalid(slices.Min(slices.Collect(maps.Keys(named))), "unknown; the usage is: %s", d.Usage())
	}
	return nil
}

func (d *Declaration) byPosition(raw json.RawMessage, given []json.RawMessage) *Error {
	var values []json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return invalid("params", "%s", err)
	}
	last := len(d.Params) - 1
	if last >= 0 && len(values) > last && d.Params[last].typ.Kind() == reflect.Slice && d.Params[last].typ.Elem().Kind() == reflect.String &&
		values[last][0] != '[' {
		gathered, err := json.Marshal(values[last:])
		if err != nil {
			return invalid(d.Params[last].Name, "%s", err)
		}
		values = append(values[:last:last], gathered)
	}
	if len(values) > len(given) {
		return invalid("#"+strconv.Itoa(len(given)+1), "too many; the usage is: %s", d.Usage())
	}
	copy(given, values)
	return nil
}

// unmarshal reads one value, with the leniency that Decode promises.
func unmarshal(raw json.RawMessage, into reflect.Value) error {
	t := into.Type()
	if t.Kind() == reflect.Pointer {
		into.Set(reflect.New(t.Elem()))
		return unmarshal(raw, into.Elem())
	}
	if err := json.Unmarshal(lenient(raw, t), into.Addr().Interface()); err != nil {
		if isOwn(t) {
			return err // it says itself what it wants
		}
		return fmt.Errorf("want %s", want(t))
	}
	return nil
}

// isOwn says that a type reads its own text or JSON.
func isOwn(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

var rawType = reflect.TypeFor[json.RawMessage]()

// lenient turns a value into what its type takes, where it can; what it cannot is left for the error.
func lenient(raw json.RawMessage, t reflect.Type) json.RawMessage {
	quoted := raw[0] == '"'
	switch kind := t.Kind(); {
	case t == rawType:
		var s string
		if quoted && json.Unmarshal(raw, &s) == nil {
			s = strings.TrimSpace(s)
			if s != "" && (s[0] == '{' || s[0] == '[') && json.Valid([]byte(s)) {
				return json.RawMessage(s)
			}
		}
	case isOwn(t):
		if isWhole(raw) {
			return quote(raw)
		}
	case kind == reflect.String:
		if isWhole(raw) {
			return quote(raw)
		}
	case kind == reflect.Slice:
		if raw[0] != '[' {
			raw = fmt.Appendf(nil, "[%s]", raw)
		}
	case kind == reflect.Bool:
		var s string
		if quoted && json.Unmarshal(raw, &s) == nil {
			raw = []byte(s)
		}
		if b, err := strconv.ParseBool(string(raw)); err == nil {
			return strconv.AppendBool(nil, b)
		}
		return json.RawMessage(`"no boolean"`)
	case quoted: // a number, then
		var s string
		if json.Unmarshal(raw, &s) == nil {
			if s = strings.TrimSpace(s); isNumber(s) {
				return json.RawMessage(s)
			}
		}
	}
	return raw
}

func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}

func isWhole(raw json.RawMessage) bool {
	for i, c := range raw {
		if (c < '0' || c > '9') && (i > 0 || c != '-') {
			return false
		}
	}
	return true
}

func quote(raw json.RawMessage) json.RawMessage { return fmt.Appendf(nil, `"%s"`, raw) }

// want says what values a type takes.
func want(t reflect.Type) string {
	switch kind := t.Kind(); {
	case kind == reflect.Pointer:
		return want(t.Elem())
	case t == rawType:
		return "an object or a list"
	case t == reflect.TypeFor[Hex]():
		return "hexadecimal digits"
	case t == reflect.TypeFor[Time]():
		return "a time, as RFC 3339 writes it"
	case t == reflect.TypeFor[Receipt]():
		return `false, true, "failure" or "all"`
	case t == reflect.TypeFor[Value]():
		return "a value"
	case t == reflect.TypeFor[TLVs]():
		return "an object of names or tags and values"
	case kind == reflect.String:
		return "a string"
	case kind == reflect.Slice:
		return "a list of strings"
	case kind == reflect.Bool:
		return "true or false"
	case kind == reflect.Uint8:
		return "a whole number from 0 to 255"
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		return "a whole number that is not negative"
	case kind >= reflect.Int && kind <= reflect.Int64:
		return "a whole number"
	}
	return t.String()
}
