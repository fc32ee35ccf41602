package sip

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

const (
	nonceTime  = 5 * time.Minute // that a nonce is good for
	nonceLimit = 1 << 16         // nonces in use whose counts are kept in one generation
	nonceSize  = 8 + 8 + 16      // time, random, signature
	nonceWidth = 64              // how far behind the greatest a count may come, since datagrams overtake one another
)

// SetUsers says who may send with credentials. What it gives takes effect with the next request; the caller keeps nothing of it.
// With nobody, who is not trusted is refused without a challenge.
func (e *Endpoint) SetUsers(list []sms.SIPUser) {
	users := make(map[string]*sms.SIPUser, len(list))
	for i := range list {
		if u := list[i]; u.Enabled && u.Realm == e.realm {
			users[u.Name] = &u
		}
	}
	if before := e.users.Swap(&users); before != nil {
		for name, u := range users {
			if old := (*before)[name]; old == nil || old.HA1 != u.HA1 || old.HA1SHA256 != u.HA1SHA256 {
				e.guard.Forgive(name) // it has a new password
			}
		}
	}
	if e.registrar != nil {
		e.registrar.setUsers(users)
	}
}

// Realm is what users give their credentials for: sip.realm, else sip.domain.
func (e *Endpoint) Realm() string { return e.realm }

// authenticate finds out which user sent a request, or gives the refusal. Strangers leave no state: a nonce is known by its
// signature, and counts are kept only of who has proved to know a password.
//
// Who gives wrong credentials again and again is not listened to for a while. To be remembered for that he must have answered a
// challenge of ours, and so be where he seems to be.
func (e *Endpoint) authenticate(m *message, from origin, now time.Time) (*sms.SIPUser, refusal) {
	users := *e.users.Load()
	if len(users) == 0 {
		return nil, refusal{code: 403}
	}
	stale := false
	for _, value := range m.authorization {
		c, err := digest.ParseCredentials(string(value))
		if err != nil || c.Realm != e.realm {
			continue // for another hop
		}
		issued, ours := e.nonces.issued(c.Nonce)
		if !ours || now.Sub(issued) > nonceTime || issued.After(now.Add(time.Minute)) {
			stale = ours || c.Response != "" // a nonce of the process before is no fault of the user
			continue
		}
		name := c.Username[:min(len(c.Username), maxUserName)]
		if wait := e.guard.Blocked(from.from.Addr(), name, now); wait > 0 {
			return nil, refusal{code: 480, reason: "Wrong Credentials Too Often", retryAfter: int((wait + time.Second - 1) / time.Second)}
		}
		u := users[c.Username]
		if !e.proves(u, c, m) {
			e.count[from.by.transport()].unauthorized.Add(1)
			e.failed(from, name, now)
			continue
		}
		e.guard.Succeeded(from.from.Addr(), name)
		if !e.nonces.use(c.Nonce, c.Nc, issued, now) {
			stale = true // seen before: RFC 7616, 3.4
			continue
		}
		return u, refusal{}
	}
	return nil, refusal{code: 401, header: e.challenge(stale, now)}
}

// maxUserName is how long the name of a user may be.
const maxUserName = 64

// failed notes wrong credentials, and tells of them now and then. Behind a peer that we trust there are others, which must not suffer
// with one of them.
func (e *Endpoint) failed(from origin, name string, now time.Time) {
	if from.trusted {
		e.guard.FailedBehind(from.from.Addr(), name, now)
	} else {
		e.guard.Failed(from.from.Addr(), name, now)
	}
	if count, tell := e.guard.Refused(from.from.Addr(), name, now); tell {
		e.log.Warn("wrong credentials", "peer", from.peer(), "user", printable(name), "count", count)
	}
}

// proves says that the credentials are the user's for this request.
func (e *Endpoint) proves(u *sms.SIPUser, c *digest.Credentials, m *message) bool {
	a1 := ""
	switch algorithm := strings.ToUpper(c.Algorithm); {
	case u == nil:
	case algorithm == "" || algorithm == "MD5":
		a1 = u.HA1
	case algorithm == "SHA-256":
		a1 = u.HA1SHA256
	}
	known := a1 != ""
	if !known {
		a1 = "0" // who is no user takes as long as who is
	}
	chal := &digest.Challenge{Realm: c.Realm, Nonce: c.Nonce, Algorithm: c.Algorithm}
	switch c.QOP {
	case "": // RFC 2069: such a nonce is good for one request
		c.Nc = 0
	case "auth":
		chal.QOP = []string{"auth"}
		if c.Nc < 1 || c.Cnonce == "" {
			return false
		}
	default:
		return false
	}
	want, err := digest.Digest(chal, digest.Options{Method: string(m.method), URI: c.URI, Count: c.Nc, Username: c.Username, Cnonce: c.Cnonce, A1: a1})
	return err == nil && known && subtle.ConstantTimeCompare([]byte(want.Response), []byte(strings.ToLower(c.Response))) == 1 &&
		sameUser(c.URI, m.uri)
}

// sameUser says that the URI of credentials is the request's, as far as a proxy on the way leaves it: their users are the same.
func sameUser(uri string, requested []byte) bool {
	if uri == string(requested) {
		return true
	}
	var a, b sip.Uri
	if sip.ParseUri(uri, &a) != nil || sip.ParseUri(string(requested), &b) != nil {
		return false
	}
	return addressOf(&a) == addressOf(&b)
}

// challenge is the header of a 401: one field for each algorithm, the better first (RFC 8760, 2.4).
func (e *Endpoint) challenge(stale bool, now time.Time) string {
	nonce := e.nonces.issue(now)
	var b strings.Builder
	for _, algorithm := range e.cfg.Algorithms {
		b.WriteString("WWW-Authenticate: Digest realm=\"" + e.realm + "\", nonce=\"" + nonce + "\", algorithm=" + algorithm + ", qop=\"auth\"")
		if stale {
			b.WriteString(", stale=true")
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

// nonces issues nonces that need not be remembered, and keeps the counts of those in use: in two generations, so that no timer
// is needed to forget one.
type nonces struct {
	key  [32]byte
	seed maphash.Seed

	mu    sync.Mutex
	turn  time.Time // when the newer generation began
	floor time.Time // what was issued before may have been used and forgotten
	gens  [2]map[uint64]nonceCounts
}

// nonceCounts are the greatest count of a nonce that was used, and which of those before it were.
type nonceCounts struct {
	greatest int
	before   uint64 // bit i: greatest-1-i was used
}

func newNonces() *nonces {
	n := &nonces{seed: maphash.MakeSeed(), turn: time.Now()}
	_, _ = rand.Read(n.key[:]) // never fails: crypto/rand ends the process instead
	n.gens = [2]map[uint64]nonceCounts{{}, {}}
	return n
}

func (n *nonces) issue(now time.Time) string {
	var b [nonceSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixNano()))
	_, _ = rand.Read(b[8:16])
	n.sign(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// sign puts the signature of the first half of b into its second.
func (n *nonces) sign(b []byte) {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(b[:16])
	copy(b[16:], mac.Sum(nil))
}

// issued is when a nonce of ours was issued. It is false for what is none.
func (n *nonces) issued(nonce string) (time.Time, bool) {
	var b, again [nonceSize]byte
	if base64.RawURLEncoding.DecodedLen(len(nonce)) != nonceSize {
		return time.Time{}, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(nonce)); err != nil {
		return time.Time{}, false
	}
	copy(again[:16], b[:16])
	n.sign(again[:])
	return time.Unix(0, int64(binary.BigEndian.Uint64(b[:8]))), hmac.Equal(b[16:], again[16:])
}

// use notes that a count of a nonce was used. It is false if it was used before, or may have been.
func (n *nonces) use(nonce string, count int, issued, now time.Time) bool {
	key := maphash.String(n.seed, nonce)
	n.mu.Lock()
	defer n.mu.Unlock()
	full := len(n.gens[0]) >= nonceLimit
	if full || now.Sub(n.turn) >= nonceTime {
		if full && now.Sub(n.turn) < nonceTime {
			n.floor = n.turn // those last used before are forgotten while they are still good: nobody may use them again
		}
		n.gens[0], n.gens[1], n.turn = map[uint64]nonceCounts{}, n.gens[0], now
	}
	c, known := n.gens[0][key]
	if !known {
		c, known = n.gens[1][key]
	}
	switch {
	case !known && !issued.After(n.floor):
		return false
	case !known:
		c = nonceCounts{greatest: count}
	case count > c.greatest:
		step := count - c.greatest
		c.before = c.before<<step | 1<<(step-1) // a shift by 64 and more leaves nothing
		c.greatest = count
	case count == c.greatest || c.greatest-count > nonceWidth || c.before&(1<<(c.greatest-count-1)) != 0:
		return false
	default:
		c.before |= 1 << (c.greatest - count - 1)
	}
	n.gens[0][key] = c
	return true
}
