package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"sipsmpp/gateway"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// defaultFile is read where -c names none and it is there.
const defaultFile = "sipsmpp.yaml"

// readConfig reads the named configuration, or the default file, or gives the defaults. Its faults are a *gateway.FaultsError.
func readConfig(file string) (gateway.Config, error) {
	named := file != ""
	if !named {
		file = defaultFile
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return gateway.Config{}.WithDefaults(), nil
	}
	if err != nil {
		return gateway.Config{}, fmt.Errorf("the configuration: %w", err)
	}
	config, faults := gateway.ParseConfig(data)
	config = config.WithDefaults()
	if faults = append(faults, config.Check()...); len(faults) > 0 {
		return config, &gateway.FaultsError{Faults: faults}
	}
	return config, nil
}

// checkAll is `sipsmppd -t`: every fault of the configuration and of the tables on its own line.
func checkAll(ctx context.Context, config gateway.Config, err error, out io.Writer) error {
	var faulty *gateway.FaultsError
	var faults []sms.Fault
	if err != nil {
		if !errors.As(err, &faulty) {
			return err
		}
		faults = faulty.Faults
	}
	faults = slices.Concat(faults, config.CheckCertificates())
	if url, err := config.ReadDB(); err == nil && store.CheckURL(url) == nil { // else it is among the faults
		rows, err := store.Check(ctx, url)
		if err != nil {
			rows = []sms.Fault{{Path: "db", Reason: strings.TrimPrefix(err.Error(), "db: ")}}
		}
		faults = slices.Concat(faults, rows)
	}
	for _, f := range faults {
		fmt.Fprintln(out, f.Error())
	}
	switch len(faults) {
	case 0:
	case 1:
		return errors.New("1 fault")
	default:
		return fmt.Errorf("%d faults", len(faults))
	}
	fmt.Fprintln(out, "good")
	return nil
}
