package smpp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// How passwords are checked: bcrypt is made to be slow, so it runs in few goroutines with a short queue.
const (
	passwordWorkers = 2
	passwordQueue   = 256
)

// passwords checks passwords. One that was right is remembered, so that an ESME that binds again costs nothing: by a MAC under a
// key that lives as long as the process, beside the hash that it was right for.
type passwords struct {
	key  [32]byte
	jobs chan passwordJob
	done sync.WaitGroup

	mu     sync.Mutex
	closed bool
	right  map[string]rightPassword // by system_id; there are no more than accounts
}

type rightPassword struct {
	hash string
	mac  [sha256.Size]byte
}

type passwordJob struct {
	systemID, hash, password string
	answer                   func(right bool)
}

func newPasswords() *passwords {
	p := &passwords{jobs: make(chan passwordJob, passwordQueue), right: make(map[string]rightPassword)}
	_, _ = rand.Read(p.key[:]) // never fails: crypto/rand ends the process instead
	for range passwordWorkers {
		p.done.Go(p.run)
	}
	return p
}

func (p *passwords) mac(password string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(password))
	h.Sum(sum[:0])
	return sum
}

// known says that the password is one that was right for this hash.
func (p *passwords) known(systemID, hash, password string) bool {
	mac := p.mac(password)
	p.mu.Lock()
	r, ok := p.right[systemID]
	p.mu.Unlock()
	return ok && r.hash == hash && hmac.Equal(r.mac[:], mac[:])
}

// check calls answer from another goroutine; false: too many wait already.
func (p *passwords) check(j passwordJob) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	select {
	case p.jobs <- j:
		return true
	default:
		return false
	}
}

func (p *passwords) run() {
	for j := range p.jobs {
		right := bcrypt.CompareHashAndPassword([]byte(j.hash), []byte(j.password)) == nil
		if right {
			mac := p.mac(j.password)
			p.mu.Lock()
			p.right[j.systemID] = rightPassword{j.hash, mac}
			p.mu.Unlock()
		}
		j.answer(right)
	}
}

func (p *passwords) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
	}
	p.mu.Unlock()
	p.done.Wait()
}
