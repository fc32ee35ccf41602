// Package mi is the contract of the management interface: its methods, their parameters and results, and its errors.
//
// Each method is declared here once, as a value that carries the types of its parameters and its result. The server serves these
// values and the client calls them, so that the two cannot drift apart. Only the standard library is imported: a program that
// calls the MI links nothing of the gateway.
//
// A parameter struct's fields are the parameters: the JSON name is the name, the order is the position, and omitempty or
// omitzero means that it may be left out.
package mi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Method is a method of the MI that takes P, a struct, and gives R.
type Method[P, R any] struct {
	*Declaration
}

// Declaration is what is known of a method without its types.
type Declaration struct {
	Name    string
	Summary string // one sentence, for people
	Params  []Param
	Roles   []Role // who may call it
	Changes bool   // it changes something, and E_MI_CHANGED tells so
	// With is the parameter with which a method that only reads changes something; empty for most.
	With   string
	result reflect.Type
}

// Param is one parameter. Its place in Declaration.Params is its position.
type Param struct {
	Name     string
	Optional bool
	Want     string // what its value must be, for people: "a string"
	index    []int  // of the field
	typ      reflect.Type
}

// wanted says what a parameter must be: a column of a table by its name, others by their types.
func wanted(name string, t reflect.Type) string {
	if t == reflect.TypeFor[Value]() || t == reflect.TypeFor[*Value]() {
		return columnWants[name]
	}
	return want(t)
}

// None is the parameters of a method that takes none.
type None struct{}

// OK is the result of a method that has nothing to tell: a result is never null.
const OK = "OK"

var declarations []*Declaration

func declare[P, R any](name, summary string) Method[P, R] {
	d := &Declaration{Name: name, Summary: summary, Roles: []Role{RoleAdmin}, Changes: true, result: reflect.TypeFor[R]()}
	t := reflect.TypeFor[P]()
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous { // its fields follow
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		d.Params = append(d.Params, Param{
			Name:     name,
			Optional: options == "omitempty" || options == "omitzero",
			Want:     wanted(name, f.Type),
			index:    f.Index,
			typ:      f.Type,
		})
	}
	declarations = append(declarations, d)
	return Method[P, R]{d}
}

// Methods are all methods, in the order of the contract. The caller must not change them.
func Methods() []*Declaration { return declarations }

// Usage is the method and its parameters as a person writes them: `message_show id`, `smpp_list [name]`.
func (d *Declaration) Usage() string {
	var b strings.Builder
	b.WriteString(d.Name)
	for _, p := range d.Params {
		if p.Optional {
			fmt.Fprintf(&b, " [%s]", p.Name)
		} else {
			b.WriteString(" " + p.Name)
		}
	}
	return b.String()
}

// Recipes are the lists of parameters that the method can be called with, as `which` gives them: those that must be given, and
// all of them.
func (d *Declaration) Recipes() [][]string {
	required, all := []string{}, []string{}
	for _, p := range d.Params {
		all = append(all, p.Name)
		if !p.Optional {
			required = append(required, p.Name)
		}
	}
	if len(required) == len(all) {
		return [][]string{all}
	}
	return [][]string{required, all}
}

// The codes of the JSON-RPC standard.
const (
	CodeParse          = -32700 // not JSON
	CodeInvalidRequest = -32600 // JSON, and no request
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602 // Data is a ParamFault
	CodeInternal       = -32603
)

// The codes of the application, which mean what they do in HTTP and SIP.
const (
	CodeBadValue     = 400
	CodeUnauthorized = 401
	CodeForbidden    = 403
	CodeNotFound     = 404 // of a connection, a message, an event, a method asked about
	CodeConflict     = 409
	CodeThrottled    = 429
	CodeNotNow       = 480 // try again
	CodeFailed       = 500
	CodeShuttingDown = 503
)

// Error is the error of a call, as it stands in the response.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"` // details: a ParamFault, a list of faults, or what the method says
}

func (e *Error) Error() string {
	if len(e.Data) > 0 {
		return fmt.Sprintf("%s (%d): %s", e.Message, e.Code, e.Data)
	}
	return fmt.Sprintf("%s (%d)", e.Message, e.Code)
}

// NewError makes an error; data is put in as JSON unless it is nil.
func NewError(code int, message string, data any) *Error {
	e := &Error{Code: code, Message: message}
	if data != nil {
		var err error
		if e.Data, err = json.Marshal(data); err != nil {
			e.Data, _ = json.Marshal(fmt.Sprint(data)) // a string always marshals
		}
	}
	return e
}

// ParamFault is the data of CodeInvalidParams.
type ParamFault struct {
	Parameter string `json:"parameter"`
	Reason    string `json:"reason"`
}

func invalid(parameter, format string, args ...any) *Error {
	return NewError(CodeInvalidParams, "Invalid params", ParamFault{parameter, fmt.Sprintf(format, args...)})
}
