package events

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// parameters are an event's, for a filter: each as the text that its JSON shows.
type parameters struct {
	value reflect.Value              // of a declared event
	named map[string]json.RawMessage // of a raised one
}

func newParameters(e Event) parameters {
	if r, ok := e.(Raised); ok {
		var p parameters
		_ = json.Unmarshal(r.params, &p.named) // it was checked when it was raised
		return p
	}
	v := reflect.ValueOf(e)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return parameters{value: v}
}

// get gives the values of a parameter: none where the event has it not, several where it is a list.
func (p parameters) get(name string) []string {
	if p.named != nil {
		raw, ok := p.named[name]
		if !ok {
			return nil
		}
		return texts(raw)
	}
	if !p.value.IsValid() {
		return nil
	}
	i, ok := fieldsOf(p.value.Type())[name]
	if !ok {
		return nil
	}
	switch f := p.value.Field(i); {
	case f.Kind() == reflect.String:
		return []string{f.String()}
	case f.CanInt():
		return []string{strconv.FormatInt(f.Int(), 10)}
	case f.CanUint():
		return []string{strconv.FormatUint(f.Uint(), 10)}
	default:
		raw, err := json.Marshal(f.Interface())
		if err != nil {
			return nil
		}
		return texts(raw)
	}
}

// texts are the values of JSON: the elements of an array, and anything else by itself.
func texts(raw json.RawMessage) []string {
	var one string
	var list []string
	switch {
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}
	case json.Unmarshal(raw, &list) == nil:
		return list
	}
	return []string{string(raw)}
}

var fieldsByType sync.Map // of reflect.Type: map[string]int

// fieldsOf gives the fields of a type of event by the names of the parameters.
func fieldsOf(t reflect.Type) map[string]int {
	if known, ok := fieldsByType.Load(t); ok {
		return known.(map[string]int)
	}
	fields := make(map[string]int)
	if t.Kind() == reflect.Struct {
		for f := range t.Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && f.IsExported() {
				fields[name] = f.Index[0]
			}
		}
	}
	fieldsByType.Store(t, fields)
	return fields
}
