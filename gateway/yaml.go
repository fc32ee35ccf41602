package gateway

import (
	"encoding"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sipsmpp/gateway/sms"
)

// ParseConfig reads the YAML of a configuration. `${NAME}` in a value is the environment's variable. It gives every fault at
// once, each by its path and line; the configuration is good only without any.
func ParseConfig(data []byte) (Config, []sms.Fault) {
	var c Config
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return c, []sms.Fault{{Path: "yaml", Reason: strings.TrimSpace(yaml.FormatError(err, false, false))}}
	}
	r := yamlReader{}
	switch {
	case len(file.Docs) > 1:
		r.fault("yaml", nil, "more than one document: want one")
	case len(file.Docs) == 1 && file.Docs[0].Body != nil:
		r.read(file.Docs[0].Body, reflect.ValueOf(&c).Elem(), "")
	}
	return c, r.faults
}

type yamlReader struct{ faults []sms.Fault }

func (r *yamlReader) fault(path string, node ast.Node, reason string) {
	if node != nil {
		reason += fmt.Sprintf(" (line %d)", node.GetToken().Position.Line)
	}
	r.faults = append(r.faults, sms.Fault{Path: path, Reason: reason})
}

// read puts a node into a value: into a struct key by key, so that one fault does not hide the next, and into anything else as
// the library does it.
func (r *yamlReader) read(node ast.Node, into reflect.Value, path string) {
	if node.Type() == ast.NullType {
		return // a key without a value keeps its default
	}
	if list, ok := node.(*ast.SequenceNode); ok && into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Struct {
		into.Set(reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values)))
		for i, v := range list.Values {
			r.read(v, into.Index(i), fmt.Sprintf("%s[%d].", path, i))
		}
		return
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if into.Kind() != reflect.Struct {
		ast.Walk(&expansion{reader: r, path: path}, node)
		// As the environment had it: the library would look at the text of the file, or want another type.
		if text, ok := node.(*ast.StringNode); ok {
			if into.Kind() == reflect.Bool && (text.Value == "true" || text.Value == "false") {
				into.SetBool(text.Value == "true")
				return
			}
			if own, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok && own.UnmarshalText([]byte(text.Value)) == nil {
				return
			}
		}
		if err := decode(node, into.Addr().Interface()); err != nil {
			r.fault(path, node, fmt.Sprintf("%s is not %s", short(node), wanted(into.Type())))
		}
		return
	}
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok && node.Type() == ast.StringType {
			ast.Walk(&expansion{reader: r, path: path}, node)
			if err := text.UnmarshalText([]byte(node.(*ast.StringNode).Value)); err == nil {
				return
			}
		}
		r.fault(strings.TrimSuffix(path, "."), node, "want keys below it")
		return
	}
	for _, v := range values {
		key := v.Key.String()
		field := into.FieldByNameFunc(func(name string) bool {
			f, _ := into.Type().FieldByName(name)
			return f.Tag.Get("yaml") == key
		})
		if !field.IsValid() {
			r.fault(path+key, v.Key, "unknown key: want "+strings.Join(keys(into.Type()), ", "))
			continue
		}
		below := path + key
		if field.Kind() == reflect.Struct {
			below += "."
		}
		r.read(v.Value, field, below)
	}
}

// decode puts a node into what a pointer points to. The library panics on some nodes, such as a tag without a value (goccy/go-yaml
// 1.19.2), which is a fault of the document like any other.
func decode(node ast.Node, into any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	return yaml.NodeToValue(node, into)
}

func keys(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("yaml"))
	}
	return names
}

func short(node ast.Node) string {
	s := strings.TrimSpace(node.String())
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return strconv.Quote(s)
}

func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Duration]():
		return "a time such as 30s or 5m"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "a list of entries with " + strings.Join(keys(t.Elem()), ", ")
	case t.Kind() == reflect.Slice:
		return "a list of strings; one with a colon in it may want quotes"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "a " + t.Kind().String()
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expansion replaces ${NAME} in the strings below a node.
type expansion struct {
	reader *yamlReader
	path   string
}

func (e *expansion) Visit(node ast.Node) ast.Visitor {
	if n, ok := node.(*ast.StringNode); ok {
		n.Value = variable.ReplaceAllStringFunc(n.Value, func(s string) string {
			name := s[2 : len(s)-1]
			value, set := os.LookupEnv(name)
			if !set {
				e.reader.fault(e.path, node, "${"+name+"} is not set in the environment")
			}
			return value
		})
	}
	return e
}
