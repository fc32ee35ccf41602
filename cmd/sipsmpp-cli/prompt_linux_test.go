package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// person is somebody at a terminal of 100 columns.
type person struct {
	t        *testing.T
	master   *os.File
	terminal *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func sit(t *testing.T) *person {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	raw, err := master.SyscallConn() // and not Fd, after which Close would not end a Read
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = errors.Join(unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0),
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}))
		if failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, master: master, terminal: terminal}
	var reading sync.WaitGroup
	reading.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			p.mu.Lock()
			p.seen.Write(b[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		_ = master.Close() // who still reads from the terminal finds that it hung up
		reading.Wait()
		_ = terminal.Close()
	})
	return p
}

func (p *person) types(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits until a text stands on the screen that was not seen before, and forgets what was before it.
func (p *person) sees(text string) {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		before, after, found := strings.Cut(p.seen.String(), text)
		if found {
			p.seen.Reset()
			p.seen.WriteString(after)
		}
		p.mu.Unlock()
		switch {
		case found:
			return
		case time.Now().After(end):
			p.t.Fatalf("%q did not come; seen: %q", text, before)
		}
	}
}

// At the prompt a person completes, reads tables and coloured events, watches top, and is told what is wrong.
func TestPrompt(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	core, url := serve(t)
	p := sit(t)
	code := make(chan int, 1)
	go func() { code <- run(t.Context(), []string{"-u", url}, p.terminal, p.terminal, p.terminal) }()
	p.sees("(sipsmpp-cli): ")
	p.types("smpp_l\t\r")
	p.sees("smpp_list")
	p.sees("CONNECTION")
	p.sees("acme")
	p.sees("\x1b[32mbound")
	p.types("smpp_re\t")
	p.sees("smpp_reload  smpp_rebind")
	p.types("b\t\t\r") // the method, then the only connection
	p.sees("smpp_rebind acme")
	p.sees("OK")
	p.types("smpp_enable nobody\r")
	p.sees("\x1b[31mno such connection")
	p.types("smpp_enable\r")
	p.sees("name: missing; the usage is: smpp_enable name")
	p.types("smpp_lost\r")
	p.sees("Method not found: which lists the methods")
	p.types("set output=json\r")
	p.sees("(sipsmpp-cli): ")
	p.types("which smpp_enable\r")
	p.sees("[\r\n    [\r\n        \"name\"")
	p.types("set output=table\r")
	p.sees("(sipsmpp-cli): ")
	p.types("top seconds=0.1\r")
	p.sees(enterPage)
	p.sees("OUT/S")
	core.mu.Lock()
	core.sentSegments += 1000
	core.mu.Unlock()
	p.sees("OUT/S")
	p.types("q")
	p.sees(leavePage)
	p.types("token\r")
	p.sees("mi.tokens gets the hash")
	p.types("account_add zz hidden\r")
	p.sees("(sipsmpp-cli): ")
	p.types("mi account:set zz hidden\r")
	p.sees("(sipsmpp-cli): ")
	p.types("exit\r")
	if c := <-code; c != exitGood {
		t.Errorf("exit code %d", c)
	}
	kept, err := os.ReadFile(state + "/sipsmpp/cli_history")
	if err != nil || !strings.Contains(string(kept), "smpp_rebind acme\n") || strings.Contains(string(kept), "hidden") {
		t.Errorf("history %q, %v", kept, err)
	}
	// The next time it is still there.
	go func() { code <- run(t.Context(), []string{"-u", url}, p.terminal, p.terminal, p.terminal) }()
	p.sees("(sipsmpp-cli): ")
	p.types("\x1b[A\x1b[A\x1b[A")
	p.sees("top seconds=0.1")
	p.types("\x03")
	<-code
}
