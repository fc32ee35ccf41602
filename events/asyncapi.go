package events

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

//go:generate go test -run TestAsyncAPI -update

// AsyncAPI makes the AsyncAPI document (3.0) of the declared events.
func AsyncAPI() map[string]any {
	type object = map[string]any
	messages, references, selected := object{}, object{}, []object{}
	for _, d := range declarations {
		properties := object{
			"seq":  object{"type": "integer", "minimum": 1, "description": "grows by one for each event of a node"},
			"time": object{"type": "string", "format": "date-time"},
			"node": object{"type": "string"},
		}
		required := []string{"seq", "time", "node"}
		for f := range d.typ.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			properties[name] = schemaOf(f.Type)
			if options == "" {
				required = append(required, name)
			}
		}
		slices.Sort(required)
		messages[d.Name] = object{
			"name": d.Name, "summary": d.Summary, "contentType": "application/json",
			"payload": object{
				"type": "object", "required": []string{"jsonrpc", "method", "params"},
				"properties": object{
					"jsonrpc": object{"const": "2.0"},
					"method":  object{"const": d.Name},
					"params":  object{"type": "object", "properties": properties, "required": required},
				},
			},
		}
		references[d.Name] = object{"$ref": "#/components/messages/" + d.Name}
		selected = append(selected, object{"$ref": "#/channels/events/messages/" + d.Name})
	}
	return object{
		"asyncapi": "3.0.0",
		"info":     object{"title": "sipsmpp events", "version": "1", "description": "Each is a JSON-RPC 2.0 notification. Applications may raise others (raise_event)."},
		"channels": object{"events": object{
			"address": "/events", "description": "a WebSocket; filter= and after= as docs/events.md says", "messages": references,
		}},
		"operations": object{"follow": object{"action": "send", "channel": object{"$ref": "#/channels/events"}, "messages": selected}},
		"components": object{"messages": messages},
	}
}

// schemaOf describes what JSON makes of the type of a parameter.
func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Hex]():
		return map[string]any{"type": "string", "pattern": "^([0-9a-f]{2})*$"}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{"type": "object"}
	}
	switch kind := t.Kind(); {
	case kind == reflect.String:
		return map[string]any{"type": "string"}
	case kind == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case kind >= reflect.Int && kind <= reflect.Int64:
		return map[string]any{"type": "integer"}
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case kind == reflect.Float64:
		return map[string]any{"type": "number"}
	case kind == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case kind == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	}
	return map[string]any{}
}
