package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// viaMI calls message_send by HTTP, each call on a connection of its own of as many as the window has; the SMSC counts.
type viaMI struct {
	*flow
	client *http.Client
}

func (m *viaMI) listen() (string, error) { return "", nil }

func (m *viaMI) connect(context.Context) error {
	m.client = &http.Client{
		Timeout:   m.timeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: m.window, MaxConnsPerHost: m.window, DisableCompression: true},
	}
	return nil
}

func (m *viaMI) stop() {
	if m.client != nil {
		m.client.CloseIdleConnections()
	}
}

func (m *viaMI) send(ctx context.Context) error {
	type call struct {
		n int
		e *entry
	}
	calls := make(chan call, m.window)
	var running sync.WaitGroup
	for range m.window {
		running.Go(func() {
			for c := range calls {
				status, err := m.call(c.n)
				if err != nil {
					m.giveUp(c.e)
					continue
				}
				m.settle(c.e, uint32(status), status == 0)
			}
		})
	}
	err := m.sendAll(ctx, func(n int, e *entry) error {
		calls <- call{n, e}
		return nil
	}, func() error { return nil })
	close(calls)
	running.Wait()
	return err
}

// call sends message n: 0, or the code of the error that the gateway answered with.
func (m *viaMI) call(n int) (code int, err error) {
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"message_send","params":{"from":%q,"to":%q,"text":%q}}`,
		n, m.from, m.to, markText(m.name, n, m.length))
	// Without the context of the run: what was begun is to end, or it would count as unanswered.
	return callMI(context.Background(), m.client, m.mi, body)
}

// callMI makes one call: 0, or the code of the error that the gateway answered with.
func callMI(ctx context.Context, client *http.Client, mi string, body []byte) (code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+mi+"/mi", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return 0, err
	}
	var parsed struct {
		Error *struct{ Code int }
	}
	switch err := json.Unmarshal(answer, &parsed); {
	case err != nil:
		return resp.StatusCode, nil
	case parsed.Error != nil:
		return parsed.Error.Code, nil
	}
	return 0, nil
}
