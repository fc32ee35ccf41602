package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// httpapi.yaml shows every key, with its default.
func TestExampleConfiguration(t *testing.T) {
	text, err := os.ReadFile("httpapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := load("httpapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := defaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	var keys func(v reflect.Type)
	keys = func(v reflect.Type) {
		for i := range v.NumField() {
			if name := v.Field(i).Tag.Get("yaml"); !strings.Contains(string(text), name+":") {
				t.Errorf("%s is not shown", name)
			}
			if v.Field(i).Type.Kind() == reflect.Struct {
				keys(v.Field(i).Type)
			}
		}
	}
	keys(reflect.TypeFor[config]())
}

func TestConfigurationFaults(t *testing.T) {
	for name, text := range map[string]string{"unknown": "gateway_token: topsecret\ncolour: red", "refund": "refund: always", "half": "tls_cert: x", "token": "gateway_token: file:/nowhere", "duration": "give_up: soon"} {
		path := filepath.Join(t.TempDir(), "httpapi.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := load(path); err == nil {
			t.Errorf("%s was taken: %+v", name, c)
		} else if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("the token is told: %v", err)
		}
	}
	if _, err := load(filepath.Join(t.TempDir(), "nowhere.yaml")); err == nil {
		t.Error("a file that is not there was taken")
	}
}
