package stream

import (
	"bufio"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
)

// BenchmarkWebSockets publishes events at a rate to subscribers on real sockets, which run beside it: give it -benchtime 5s or so. It
// tells how many each got in a second, the processor time for one that one got (subscribers included), how many events one write carried,
// how late they came at the most but for one in a hundred, and what Publish took.
func BenchmarkWebSockets(b *testing.B) {
	for _, bb := range []struct {
		name              string
		subscribers, rate int
	}{{"10x10000", 10, 10_000}, {"1000x100", 1000, 100}, {"1x50000", 1, 50_000}} {
		b.Run(bb.name, func(b *testing.B) { benchmarkWebSockets(b, bb.subscribers, bb.rate) })
	}
}

func benchmarkWebSockets(b *testing.B, subscribers, rate int) {
	hub := events.NewHub("gw1", 0)
	var late lateness
	hub.Observe(late.add)
	handler := NewHandler(hub, nil, slog.New(slog.DiscardHandler))
	server := httptest.NewUnstartedServer(handler)
	counted := &writeCounter{Listener: server.Listener}
	server.Listener = counted
	server.Start()
	defer server.Close()
	defer handler.Close()

	var got atomic.Int64
	var wait sync.WaitGroup
	for range subscribers {
		ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/", nil)
		if err != nil {
			b.Fatal(err)
		}
		defer ws.Close()
		wait.Go(func() { countFrames(ws.NetConn(), b.N, &got) })
	}
	for len(handler.Subscribers()) < subscribers {
		time.Sleep(time.Millisecond)
	}
	counted.writes.Store(0)
	before := processorTime()
	b.ResetTimer()
	began := time.Now()
	var publishing time.Duration
	const tick = time.Millisecond
	for sent := 0; sent < b.N; {
		due := min(b.N, int(float64(time.Since(began))/float64(time.Second)*float64(rate)))
		start := time.Now()
		for ; sent < due; sent++ {
			hub.Publish(events.MessageSent{
				ID: "01m84g7jqn0001c8201vp91gzt", Ref: "order 17", Egress: "smpp:acme", Connection: "acme", SMSCIDs: []string{"4711"}, Segments: 1, Attempt: 1,
			})
		}
		publishing += time.Since(start)
		time.Sleep(tick)
	}
	wait.Wait()
	took := time.Since(began)
	b.StopTimer()
	cpu := processorTime() - before
	delivered := float64(got.Load())
	if want := int64(b.N) * int64(subscribers); got.Load() != want || hub.Lost() > 0 {
		b.Fatalf("%d of %d came, %d were lost", got.Load(), want, hub.Lost())
	}
	b.ReportMetric(delivered/float64(subscribers)/took.Seconds(), "events/s/subscriber")
	b.ReportMetric(float64(cpu.Nanoseconds())/delivered, "cpu-ns/delivery")
	b.ReportMetric(100*cpu.Seconds()/took.Seconds(), "cpu-%")
	b.ReportMetric(delivered/float64(max(counted.writes.Load(), 1)), "events/write")
	b.ReportMetric(float64(publishing.Nanoseconds())/float64(b.N), "publish-ns")
	b.ReportMetric(late.p99(), "late-p99-ms")
	b.ReportMetric(0, "ns/op") // the pace decides it
}

// lateness gathers how late the oldest of each batch came.
type lateness struct {
	mu   sync.Mutex
	list []time.Duration
}

func (l *lateness) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, d)
}

func (l *lateness) p99() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.list)
	return float64(l.list[len(l.list)*99/100].Microseconds()) / 1000
}

// countFrames reads the frames of n messages (RFC 6455, 5.2), of which a server's are not masked.
func countFrames(c net.Conn, n int, got *atomic.Int64) {
	r := bufio.NewReaderSize(c, 64<<10)
	for range n {
		head, err := r.Peek(4)
		if err != nil {
			return
		}
		code, size, length := head[0]&0x0f, 2, int(head[1]&0x7f)
		if length == 126 {
			size, length = 4, int(binary.BigEndian.Uint16(head[2:4]))
		}
		if _, err := r.Discard(size + length); err != nil {
			return
		}
		if code == websocket.TextMessage {
			got.Add(1)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, c) }() // what comes at the end
}

// writeCounter counts the writes of the connections that it accepts.
type writeCounter struct {
	net.Listener
	writes atomic.Int64
}

func (l *writeCounter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{c, l}, nil
}

type countedConn struct {
	net.Conn
	l *writeCounter
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(b)
}

// processorTime is what the process has taken.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it does not fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
