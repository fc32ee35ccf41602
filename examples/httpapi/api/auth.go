package api

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sipsmpp/examples/httpapi/store"
)

// blocked says how long somebody who failed too often must wait.
func (l *limiter) blocked(name string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[name]
	if b == nil {
		return 0
	}
	b.tokens = min(b.tokens+time.Since(b.at).Seconds()*failureRate, failureBurst)
	b.at = time.Now()
	if b.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - b.tokens) / failureRate * float64(time.Second))
}

// failed counts a failure.
func (l *limiter) failed(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.buckets == nil {
		l.buckets = make(map[string]*bucket)
	}
	b := l.buckets[name]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.forget(now)
		}
		b = &bucket{tokens: failureBurst, at: now}
		l.buckets[name] = b
	}
	b.tokens--
}

// passwords remembers which passwords were right, since bcrypt takes its time on purpose. What it holds is worth nothing to others:
// hashes under a key of this process.
type passwords struct {
	mu    sync.Mutex
	right map[[32]byte]time.Time // until when
}

const (
	rememberPassword = 5 * time.Minute
	maxPasswords     = 10_000
)

// known says that a password was right lately.
func (p *passwords) known(hash, password string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.right[sha256.Sum256([]byte(hash+"\x00"+password))])
}

func (p *passwords) check(hash, password string) bool {
	if p.known(hash, password) {
		return true
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.right == nil || len(p.right) >= maxPasswords {
		p.right = make(map[[32]byte]time.Time)
	}
	p.right[sha256.Sum256([]byte(hash+"\x00"+password))] = time.Now().Add(rememberPassword)
	return true
}

// nobody is a hash that no password has: who names a user that there is not waits as long as who has the wrong password.
var nobody = sync.OnceValue(func() string {
	hash, _ := bcrypt.GenerateFromPassword([]byte(rand.Text()), bcrypt.DefaultCost) // it fails for long passwords alone
	return string(hash)
})

var errLogin = errors.New("wrong user name or password")

// login finds the customer of a user name and password. It fails with errLogin or a problem.
func (a *API) login(r *http.Request, username, password string) (store.Customer, error) {
	c, hash, err := a.db.Login(r.Context(), username)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Customer{}, err
	}
	// Who is known is not kept out by others at the same address; to check a password takes too long to be done for everybody.
	if wait := a.failures.blocked(a.address(r)); wait > 0 && !a.passwords.known(hash, password) {
		return store.Customer{}, tooOften(wait)
	}
	if hash == "" {
		hash = nobody()
	}
	if right := a.passwords.check(hash, password); !right || err != nil {
		a.failures.failed(a.address(r))
		return store.Customer{}, errLogin
	}
	return c, nil
}
