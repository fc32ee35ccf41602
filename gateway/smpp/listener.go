package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// maxUnboundFrom is how many sockets of one address may be open without a bind.
const maxUnboundFrom = 50

// listener is one address of smpp.listen.
type listener struct {
	net.Listener
	all    *Accounts
	secure bool
	once   sync.Once
	done   chan struct{}
}

func (l *listener) close() {
	l.once.Do(func() {
		close(l.done)
		l.Listener.Close()
	})
}

// Listen opens the listeners; nothing is taken before Start. After an error none is open.
func (a *Accounts) Listen() error {
	for i, s := range a.config.Listen {
		address, secure := strings.CutPrefix(s, "tls:")
		if secure && a.config.TLS == nil {
			a.closeListeners()
			return fmt.Errorf("smpp.listen[%d]: %s needs a certificate", i, s)
		}
		ln, err := net.Listen("tcp", address)
		if err != nil {
			a.closeListeners()
			return fmt.Errorf("smpp.listen[%d]: %w", i, err)
		}
		a.listeners = append(a.listeners, &listener{Listener: ln, all: a, secure: secure, done: make(chan struct{})})
	}
	return nil
}

func (a *Accounts) closeListeners() {
	for _, l := range a.listeners {
		l.close()
	}
	a.listeners = nil
}

// Start takes connections.
func (a *Accounts) Start() {
	for _, l := range a.listeners {
		a.listening.Go(l.run)
	}
}

// run accepts until the listener is closed. An error, such as too many open files, costs a pause and nothing else.
func (l *listener) run() {
	wait := 10 * time.Millisecond
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			wait = 10 * time.Millisecond
			l.all.accept(conn, l.secure)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			l.all.log.Error("a connection could not be accepted", "listener", l.Addr().String(), "error", err, "retry_in", wait)
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-l.done:
				timer.Stop()
				return
			}
			wait = min(2*wait, time.Second)
		}
	}
}

// accept begins a session on a socket, or closes it because there are too many.
func (a *Accounts) accept(conn net.Conn, secure bool) {
	b := newAccountBind(a, conn)
	a.mu.Lock()
	switch {
	case a.closed, len(a.open) >= a.config.MaxConnections, a.unbound[b.from] >= maxUnboundFrom:
		open, closed := len(a.open), a.closed
		a.mu.Unlock()
		conn.Close()
		if !closed && a.guard.Tell() {
			a.log.Warn("a connection was closed at once, because there are too many", "remote", b.remote, "open", open)
		}
		return
	}
	a.open[b] = struct{}{}
	a.unbound[b.from]++
	a.sessions.Add(1)
	a.mu.Unlock()
	go func() {
		defer b.leaveListener()
		b.serve(secure)
	}()
}

// take counts a socket that a connection opened among those of the accounts; false: they are closed.
func (a *Accounts) take(b *accountBind) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.open[b] = struct{}{}
	b.counted = true
	a.sessions.Add(1)
	return true
}

// leaveListener drops a socket that is closed, or that a connection has now.
func (b *accountBind) leaveListener() {
	b.leaving.Do(func() {
		a := b.all
		defer a.sessions.Done()
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, b)
		a.noLongerUnbound(b)
	})
}

// noLongerUnbound takes a socket that is bound or closed out of the count. The lock is held.
func (a *Accounts) noLongerUnbound(b *accountBind) {
	if b.counted {
		return
	}
	b.counted = true
	if a.unbound[b.from]--; a.unbound[b.from] <= 0 {
		delete(a.unbound, b.from)
	}
}

// handshake speaks TLS on a socket, within the time that a peer has to bind.
func (a *Accounts) handshake(conn net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), a.config.InitTimeout)
	defer cancel()
	secure := tls.Server(conn, a.config.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, ofTLS(err)
	}
	return secure, nil
}

// source is where a socket comes from: the address, of IPv6 the network, since a host there has as many as it likes.
func source(remote net.Addr) (from netip.Addr, network netip.Addr) {
	if a, err := netip.ParseAddrPort(remote.String()); err == nil {
		from = a.Addr().Unmap().WithZone("")
	}
	network = from
	if from.Is6() {
		p, _ := from.Prefix(64) // of a valid address always good
		network = p.Addr()
	}
	return from, network
}
