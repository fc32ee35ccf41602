package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// document is openapi.yaml, as far as a test needs to read it.
type document struct{ root map[string]any }

func readDocument(t testing.TB) document {
	t.Helper()
	var d document
	if err := yaml.UnmarshalWithOptions(openapi, &d.root, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return d
}

// at follows keys, and references on the way.
func (d document) at(from any, keys ...string) any {
	from = d.resolve(from)
	for _, key := range keys {
		object, ok := from.(map[string]any)
		if !ok {
			return nil
		}
		from = d.resolve(object[key])
	}
	return from
}

func (d document) resolve(v any) any {
	object, ok := v.(map[string]any)
	if ref, isRef := object["$ref"].(string); ok && isRef {
		return d.at(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return v
}

var methods = []string{"get", "put", "post", "delete"}

// The document describes the handlers that there are, and no others.
func TestOpenAPIRoutes(t *testing.T) {
	d := readDocument(t)
	if v := d.at(d.root, "openapi"); v != "3.1.0" {
		t.Errorf("openapi: %v", v)
	}
	var described, served []string
	for path, operations := range d.at(d.root, "paths").(map[string]any) {
		for _, m := range methods {
			if operation := d.at(operations, m); operation != nil {
				described = append(described, strings.ToUpper(m)+" "+path)
			}
		}
	}
	for _, r := range routes {
		served = append(served, r.method+" "+r.path)
		operation := d.at(d.root, "paths", r.path, strings.ToLower(r.method))
		if d.at(operation, "responses", fmt.Sprint(r.status)) == nil {
			t.Errorf("%s %s: the answer %d is not described", r.method, r.path, r.status)
		}
		if text := fmt.Sprint(d.at(operation, "description")); !strings.Contains(text, "`"+string(r.right)+"`") && !strings.Contains(text, "Right `"+string(r.right)+"`") && r.right != "read" {
			t.Errorf("%s %s: the right %s is not named", r.method, r.path, r.right)
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described %q\nserved    %q", described, served)
	}
}

// Every reference of the document leads somewhere.
func TestOpenAPIReferences(t *testing.T) {
	d := readDocument(t)
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case map[string]any:
			if _, ok := v["$ref"]; ok && d.resolve(v) == nil {
				t.Errorf("%s: %v leads nowhere", path, v["$ref"])
			}
			for key, value := range v {
				walk(value, path+"/"+key)
			}
		case []any:
			for i, value := range v {
				walk(value, fmt.Sprintf("%s/%d", path, i))
			}
		}
	}
	walk(d.root, "")
}

// check says what of an answer the document does not allow.
func (d document) check(method, path string, status int, header http.Header, body []byte) error {
	for _, r := range routes {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(r.path), "[^/]+") + "$")
		if r.method != method || !pattern.MatchString(path) {
			continue
		}
		response := d.at(d.root, "paths", r.path, strings.ToLower(method), "responses", fmt.Sprint(status))
		if response == nil {
			return fmt.Errorf("%s %s: the answer %d is not described", method, r.path, status)
		}
		content, _ := d.at(response, "content").(map[string]any)
		kind := header.Get("Content-Type")
		if content[kind] == nil {
			return fmt.Errorf("%s %s: %d comes as %s", method, r.path, status, kind)
		}
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			return err
		}
		return d.valid(d.at(content[kind], "schema"), value, "")
	}
	return nil
}

// valid checks a value against the part of JSON Schema that the document uses.
func (d document) valid(schema, value any, path string) error {
	s, ok := d.resolve(schema).(map[string]any)
	if !ok {
		return fmt.Errorf("%s: there is no schema", path)
	}
	if choices, ok := s["oneOf"].([]any); ok {
		matched := 0
		for _, choice := range choices {
			if d.valid(choice, value, path) == nil {
				matched++
			}
		}
		if matched != 1 {
			return fmt.Errorf("%s: %d of oneOf take %v", path, matched, value)
		}
		return nil
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, value) {
		return fmt.Errorf("%s: %v is none of %v", path, value, enum)
	}
	switch s["type"] {
	case "object":
		object, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %v is no object", path, value)
		}
		properties, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := object[name.(string)]; !ok {
				return fmt.Errorf("%s: %s is missing", path, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if properties[name] == nil {
				return fmt.Errorf("%s: %s is not described", path, name)
			}
			if err := d.valid(properties[name], object[name], path+"/"+name); err != nil {
				return err
			}
		}
	case "array":
		list, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s: %v is no array", path, value)
		}
		for i, item := range list {
			if err := d.valid(s["items"], item, fmt.Sprintf("%s/%d", path, i)); err != nil {
				return err
			}
		}
	case "string":
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("%s: %v is no string", path, value)
		}
		if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(text) {
			return fmt.Errorf("%s: %q does not match %s", path, text, pattern)
		}
		if s["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	case "integer":
		if n, ok := value.(float64); !ok || n != float64(int64(n)) {
			return fmt.Errorf("%s: %v is no integer", path, value)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return fmt.Errorf("%s: %v is no boolean", path, value)
		}
	default:
		return fmt.Errorf("%s: type %v is not known to this test", path, s["type"])
	}
	return nil
}
