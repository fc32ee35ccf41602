package main

import (
	"bytes"
	"context"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/gorilla/websocket"
)

// reportWatch reads E_MESSAGE_REPORT from the gateway's events.
type reportWatch struct {
	conn    *websocket.Conn
	lost    atomic.Uint64 // events that the gateway could not keep for us
	running sync.WaitGroup
}

// watchReports tells of each report by the SMSC id of its message.
func watchReports(ctx context.Context, mi string, tell func(smscID uint64)) (*reportWatch, error) {
	u := url.URL{Scheme: "ws", Host: mi, Path: "/events", RawQuery: "filter=E_MESSAGE_REPORT"}
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, u.String(), nil)
	if err != nil {
		return nil, err
	}
	w := &reportWatch{conn: conn}
	w.running.Go(func() {
		for {
			_, b, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if id, ok := numberAfter(b, `"smsc_ids":["`); ok {
				tell(id)
			} else if n, ok := numberAfter(b, `"count":`); ok && bytes.Contains(b, []byte(`"E_EVENTS_LOST"`)) {
				w.lost.Add(n)
			}
		}
	})
	return w, nil
}

func (w *reportWatch) stop() {
	w.conn.Close()
	w.running.Wait()
}

// numberAfter gives the number that stands in b behind key.
func numberAfter(b []byte, key string) (uint64, bool) {
	_, rest, found := bytes.Cut(b, []byte(key))
	end := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if !found || end < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(rest[:end]), 10, 64)
	return n, err == nil
}
