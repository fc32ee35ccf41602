package mi

import (
	"reflect"
	"slices"
	"strings"
)

// schema is a JSON Schema (2020-12) as encoding/json writes it.
type schema map[string]any

// schemaOf describes what JSON makes of a type, or what it takes where it is a parameter.
func schemaOf(t reflect.Type, parameter bool) schema {
	switch t {
	case reflect.TypeFor[Time]():
		return schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Hex]():
		return schema{"type": "string", "pattern": "^([0-9A-Fa-f]{2})*$"}
	case reflect.TypeFor[Receipt]():
		return schema{"enum": []any{false, true, "failure", "all"}}
	case reflect.TypeFor[TLVs](), reflect.TypeFor[Members]():
		return schema{"type": "object", "additionalProperties": schema{"type": "string"}}
	case reflect.TypeFor[Value]():
		return schema{"description": "a value of a column"}
	case reflect.TypeFor[WhichResult]():
		names := schema{"type": "array", "items": schema{"type": "string"}}
		return schema{"oneOf": []schema{names, {"type": "array", "items": names}}}
	case reflect.TypeFor[HelpResult]():
		return schema{"oneOf": []schema{{"type": "string"}, schemaOf(reflect.TypeFor[helpObject](), false)}}
	case rawType:
		return schema{"type": []string{"object", "array"}}
	}
	switch kind := t.Kind(); {
	case kind == reflect.Pointer:
		return schemaOf(t.Elem(), parameter)
	case kind == reflect.String:
		return schema{"type": "string"}
	case kind == reflect.Bool:
		return schema{"type": "boolean"}
	case kind == reflect.Uint8:
		return schema{"type": "integer", "minimum": 0, "maximum": 255}
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		return schema{"type": "integer", "minimum": 0}
	case kind >= reflect.Int && kind <= reflect.Int64:
		return schema{"type": "integer"}
	case kind == reflect.Float32, kind == reflect.Float64:
		return schema{"type": "number"}
	case kind == reflect.Slice:
		list := schema{"type": "array", "items": schemaOf(t.Elem(), parameter)}
		if t.Elem().Kind() == reflect.String && parameter {
			return schema{"oneOf": []schema{list, {"type": "string"}}} // one stands for a list of one
		}
		if t.Elem().Kind() == reflect.String {
			list["items"] = schema{"type": "string"}
		}
		return list
	case kind == reflect.Map:
		return schema{"type": "object", "additionalProperties": schemaOf(t.Elem(), parameter)}
	case kind == reflect.Struct:
		object := schema{"type": "object"}
		properties, required := schema{}, []string{}
		members(t, properties, &required)
		object["properties"] = properties
		if len(required) > 0 {
			slices.Sort(required)
			object["required"] = required
		}
		return object
	}
	return schema{}
}

// members adds the fields of a struct, and of those that it embeds.
func members(t reflect.Type, properties schema, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			members(f.Type, properties, required)
		case name != "" && name != "-" && f.IsExported():
			properties[name] = schemaOf(f.Type, false)
			if options != "omitempty" && options != "omitzero" {
				*required = append(*required, name)
			}
		}
	}
}
