package smpp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"sipsmpp/gateway/sms"
)

// passwordQueue is how many checks may wait. They are made to be slow, so they have half of the processors at the most, and a flood
// of binds leaves the others to messages.
const passwordQueue = 256

// passwordWorkers is how many checks run at once.
func passwordWorkers() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// passwords checks passwords. One that was right is remembered, so that an ESME that binds again costs nothing: by a MAC under a
// key that lives as long as the process, beside the hash that it was right for.
type passwords struct {
	key  [32]byte
	jobs chan passwordJob
	over chan struct{} // closed by close
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
	p := &passwords{jobs: make(chan passwordJob, passwordQueue), over: make(chan struct{}), right: make(map[string]rightPassword)}
	_, _ = rand.Read(p.key[:]) // never fails: crypto/rand ends the process instead
	for range passwordWorkers() {
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
		begun := time.Now()
		right, threads := verify(j.hash, j.password)
		if right {
			mac := p.mac(j.password)
			p.mu.Lock()
			p.right[j.systemID] = rightPassword{j.hash, mac}
			p.mu.Unlock()
		}
		j.answer(right)
		if threads > 1 { // it had several processors: a rest makes it one on average
			select {
			case <-time.After(time.Since(begun) * time.Duration(threads-1)):
			case <-p.over:
			}
		}
	}
}

// verify says whether a hash is of the password, and how many threads that took.
func verify(hash, password string) (right bool, threads int) {
	if !strings.HasPrefix(hash, "$argon2") {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, 1
	}
	a, err := sms.ParseArgon2id(hash)
	if err != nil { // the store lets none such pass
		return false, 1
	}
	made := argon2.IDKey([]byte(password), a.Salt, a.Time, a.Memory, a.Threads, uint32(len(a.Hash)))
	return subtle.ConstantTimeCompare(made, a.Hash) == 1, min(int(a.Threads), runtime.GOMAXPROCS(0))
}

func (p *passwords) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
		close(p.over)
	}
	p.mu.Unlock()
	p.done.Wait()
}
