package examples_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipsmpp/examples/exampletest"
	"sipsmpp/gateway/gatewaytest"
)

// Kamailio runs kamailio.cfg, but for the ports, between a phone that registers there and a whole gateway: a message each way.
func TestKamailioBesideGateway(t *testing.T) {
	kamailio, err := exec.LookPath("kamailio")
	if err != nil {
		t.Skip("there is no kamailio")
	}
	if testing.Short() {
		t.Skip("it starts a process")
	}
	proxy := freeUDP(t)
	r := exampletest.New(t, "sip:"+proxy)
	phone, err := gatewaytest.NewUserAgent("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = phone.Close() })

	text, err := os.ReadFile("kamailio/kamailio.cfg")
	if err != nil {
		t.Fatal(err)
	}
	_, gatewayPort, _ := net.SplitHostPort(r.SIP)
	config := strings.NewReplacer("127.0.0.1:5070", r.SIP, "$sp == 5070", "$sp == "+gatewayPort, "127.0.0.1:5060", proxy).Replace(string(text))
	dir := t.TempDir()
	file := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(kamailio, "-f", file, "-DD", "-E", "-m", "32", "-M", "8", "-w", dir, "-Y", dir, "-P", filepath.Join(dir, "pid"))
	run.Stdout, run.Stderr = log, log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(os.Interrupt) // it ends its children
		_ = run.Wait()
		if said, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("kamailio said:\n%s", said)
		}
	})

	register(t, proxy, "100", phone.Addr())
	code, err := phone.Send(t.Context(), "sip:+4915112345678@"+proxy, "100", "Grüße by Kamailio")
	if err != nil || code != 202 {
		t.Fatalf("the phone's message was answered %d, %v", code, err)
	}
	if got := r.Next(); got.Text() != "Grüße by Kamailio" || got.To != "4915112345678" || got.From != "100" {
		t.Errorf("the SMSC got %q from %s to %s", got.Text(), got.From, got.To)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	status, err := r.SMSC.Deliver(ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", Text: "and back"})
	if err != nil || status != 0 {
		t.Errorf("the SMSC's message was answered %#x, %v", status, err)
	}
	select {
	case got := <-phone.Received():
		if got.Text != "and back" || !strings.Contains(got.From, "+4915112345678") {
			t.Errorf("the phone got %+v", got)
		}
	case <-ctx.Done():
		t.Error("the phone got nothing")
	}
}

// register registers a phone, again and again until the proxy is there.
func register(t *testing.T, proxy, user, contact string) {
	t.Helper()
	conn, err := net.Dial("udp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, 4096)
	for n := 1; n <= 40; n++ {
		request := fmt.Sprintf("REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d;rport\r\nMax-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=1\r\nTo: <sip:%[4]s@%[5]s>\r\n"+
			"Call-ID: register\r\nCSeq: %[3]d REGISTER\r\nContact: <sip:%[4]s@%[6]s>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n", proxy, conn.LocalAddr(), n, user, proxy, contact)
		_, _ = conn.Write([]byte(request)) // refused while nobody listens
		_ = conn.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
		if size, err := conn.Read(answer); err == nil && strings.HasPrefix(string(answer[:size]), "SIP/2.0 200") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("Kamailio takes no registration: %s", answer)
}

// freeUDP is an address at which neither UDP nor TCP is listened.
func freeUDP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
