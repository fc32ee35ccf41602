package gateway

import (
	"time"

	"sipsmpp/gateway/sms"
)

// DeferConfig is section `defer`: what becomes of messages that no target can take now.
type DeferConfig struct {
	Enabled    *bool    `yaml:"enabled"`     // false: they are refused; nil: true
	Validity   Duration `yaml:"validity"`    // how long one is kept whose sender gave no validity
	MaxAge     Duration `yaml:"max_age"`     // how long any is kept, whatever its sender gave
	FirstDelay Duration `yaml:"first_delay"` // from the first attempt to the next; it doubles up to MaxDelay
	MaxDelay   Duration `yaml:"max_delay"`
	// MaxMessages and MaxBytes bound what waits for one target; beyond it messages are refused with the protocol's 'try later'.
	MaxMessages int   `yaml:"max_messages"`
	MaxBytes    int64 `yaml:"max_bytes"`
}

func (c *DeferConfig) withDefaults() {
	if c.Enabled == nil {
		c.Enabled = new(true)
	}
	or(&c.Validity, Duration(72*time.Hour))
	or(&c.MaxAge, Duration(7*24*time.Hour))
	or(&c.FirstDelay, Duration(5*time.Second))
	or(&c.MaxDelay, Duration(15*time.Minute))
	or(&c.MaxMessages, 1_000_000)
	or(&c.MaxBytes, 1<<30)
}

func (c DeferConfig) check() (faults []sms.Fault) {
	fault := func(key, reason string) { faults = append(faults, sms.Fault{Path: "defer." + key, Reason: reason}) }
	for key, d := range map[string]Duration{"validity": c.Validity, "max_age": c.MaxAge, "first_delay": c.FirstDelay} {
		if d <= 0 {
			fault(key, "is not above zero: want a time such as 5s or 72h")
		}
	}
	if c.MaxDelay < c.FirstDelay {
		fault("max_delay", "is shorter than first_delay")
	}
	if c.MaxMessages < 0 {
		fault("max_messages", "is negative: want how many messages may wait for one target, or enabled: false")
	}
	if c.MaxBytes < 0 {
		fault("max_bytes", "is negative: want how many octets may wait for one target, or enabled: false")
	}
	return faults
}
