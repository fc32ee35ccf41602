package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"sipsmpp/mi"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// request is a call on the wire.
type request struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// poster calls by HTTP POST.
type poster struct {
	url    string
	header http.Header
	client *http.Client
}

func (p *poster) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	body, err := json.Marshal(request{"2.0", 1, method, params})
	if err != nil {
		return nil, err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	post.Header = p.header.Clone()
	post.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(post)
	if dial := new(net.OpError); errors.As(err, &dial) && dial.Op == "dial" {
		err = notSent(err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result json.RawMessage
		Error  *mi.Error
	}
	switch err := json.Unmarshal(body, &answer); {
	case err == nil && answer.Error != nil: // whatever the status
		return nil, answer.Error
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answered HTTP %s: %.200q", p.url, response.Status, body)
	case err != nil || answer.Result == nil:
		return nil, errors.New(p.url + " gave an answer that is no JSON-RPC: does the URL end in /mi?")
	}
	return answer.Result, nil
}

func (p *poster) close() error {
	p.client.CloseIdleConnections()
	return nil
}
