package stream

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
)

// BenchmarkDurable is what one durable subscriber takes from a gateway on SQLite that publishes as fast as it can be kept, with an
// acknowledgement for each hundred.
func BenchmarkDurable(b *testing.B) {
	g, server := durableGateway(b, filepath.Join(b.TempDir(), "bench.db"))
	ws := dialDurable(b, server, "durable=crm&window=10000&filter=E_MESSAGE_SENT")
	before := processorTime()
	b.ResetTimer()
	go func() {
		for i := range b.N {
			g.Events().Publish(events.MessageSent{
				ID: "01m84g7jqn0001c8201vp91gzt", Ref: "order 17", Egress: "smpp:acme", Connection: "acme", SMSCIDs: []string{"4711"}, Segments: 1, Attempt: 1,
			})
			if i%1000 == 999 { // as senders wait for their answers
				done := make(chan error, 1)
				g.Durables().Flush(func(err error) { done <- err })
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
		}
	}()
	for i := range b.N {
		_, data, err := ws.ReadMessage()
		if err != nil {
			b.Fatal(err)
		}
		if i%100 != 99 {
			continue
		}
		n, err := events.Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		if err := ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"ack","params":{"seq":%d}}`, n.Seq)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((processorTime()-before)/time.Duration(b.N)), "cpu-ns/event")
}
