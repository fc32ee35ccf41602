package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"sipsmpp/examples/httpapi/hook"
)

// config is what httpapi.yaml says. What is left out has the default that httpapi.yaml shows.
type config struct {
	Listen       string   `yaml:"listen"`
	TLSCert      string   `yaml:"tls_cert"`
	TLSKey       string   `yaml:"tls_key"`
	Proxies      []string `yaml:"proxies"`
	DB           string   `yaml:"db"`
	Gateway      string   `yaml:"gateway"`
	GatewayToken string   `yaml:"gateway_token"`
	Subscription string   `yaml:"subscription"`
	Currency     string   `yaml:"currency"`
	Refund       string   `yaml:"refund"`
	Limits       struct {
		Recipients int `yaml:"recipients"`
		Segments   int `yaml:"segments"`
	} `yaml:"limits"`
	GiveUp      time.Duration `yaml:"give_up"`
	ReportWait  time.Duration `yaml:"report_wait"`
	Keep        time.Duration `yaml:"keep"`
	CallTimeout time.Duration `yaml:"call_timeout"`
	Webhooks    struct {
		Private bool            `yaml:"private"`
		Timeout time.Duration   `yaml:"timeout"`
		Retries []time.Duration `yaml:"retries"`
	} `yaml:"webhooks"`
}

// What a message is refunded for.
const (
	refundRefused     = "refused"
	refundUndelivered = "undelivered"
)

func defaults() config {
	c := config{Listen: "127.0.0.1:8080", Proxies: []string{"127.0.0.0/8", "::1/128"}, DB: "sqlite:httpapi.db", Gateway: "http://127.0.0.1:8888/mi", Subscription: "httpapi", Currency: "EUR",
		Refund: refundUndelivered, GiveUp: 24 * time.Hour, ReportWait: 72 * time.Hour, CallTimeout: 30 * time.Second, Keep: 365 * 24 * time.Hour}
	c.Webhooks.Timeout, c.Webhooks.Retries = 10*time.Second, hook.Schedule
	c.Limits.Recipients, c.Limits.Segments = 1000, 10
	return c
}

// load reads a configuration. An unknown key is an error. Without a name it is ./httpapi.yaml, if there is one.
func load(path string) (config, error) {
	c := defaults()
	named := path != ""
	if !named {
		path = "httpapi.yaml"
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !named {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return c, fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, false)) // without the lines around it, in which a secret may stand
	}
	if c.GatewayToken, err = secret(c.GatewayToken); err != nil {
		return c, fmt.Errorf("%s: gateway_token: %w", path, err)
	}
	if c.DB, err = secret(c.DB); err != nil {
		return c, fmt.Errorf("%s: db: %w", path, err)
	}
	if c.Refund != refundRefused && c.Refund != refundUndelivered {
		return c, fmt.Errorf("%s: refund: want refused or undelivered", path)
	}
	if c.Keep < 24*time.Hour {
		return c, fmt.Errorf("%s: keep: want 24h at least", path)
	}
	if _, err := c.prefixes(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return c, fmt.Errorf("%s: tls_cert and tls_key go together", path)
	}
	return c, nil
}

// prefixes reads the networks of our own proxies.
func (c config) prefixes() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range c.Proxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("proxies: %w", err)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// secret reads a value that may stand in a file of its own: file:PATH.
func secret(value string) (string, error) {
	path, ok := strings.CutPrefix(value, "file:")
	if !ok {
		return value, nil
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}
