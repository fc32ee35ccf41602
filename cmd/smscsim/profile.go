package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profile writes the CPU profile of the gateway to --profile while the load runs. finish waits for it, and says what went wrong.
func (r *rig) profile(ctx context.Context) (finish func() error) {
	if r.profileTo == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- fetchProfile(ctx, r.mi, r.profileTo, r.duration) }()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("--profile: %w", err)
		}
		return nil
	}
}

// fetchProfile asks a gateway's MI for a CPU profile of that long, less a moment, so that it ends with the load.
func fetchProfile(ctx context.Context, mi, file string, duration time.Duration) (err error) {
	seconds := max(1, int((duration-time.Second/2)/time.Second))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", mi, seconds), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway's MI answers %s", resp.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, resp.Body)
	return err
}
