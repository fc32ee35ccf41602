package smpp

import (
	"runtime"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/bcrypt"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// referenceHash is of `password`, as `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 -e` writes it.
const referenceHash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestVerify(t *testing.T) {
	long, err := bcrypt.GenerateFromPassword([]byte("a password of more than eight"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hash, password string
		right          bool
	}{
		{referenceHash, "password", true}, {referenceHash, "Password", false}, {referenceHash, "", false},
		{"$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", false},
		{"$argon2id$", "password", false}, {"", "", false}, {"password", "password", false},
		{secretHash, "secret", true}, {secretHash, "secret ", false},
		{string(long), "a password of more than eight", true}, {string(long), "a passwo", false},
	} {
		if right, threads := verify(c.hash, c.password); right != c.right || threads != 1 {
			t.Errorf("%s of %q: %v, %d", c.hash, c.password, right, threads)
		}
	}
	if _, threads := verify("$argon2id$v=19$m=64,t=1,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "x"); threads != min(4, runtime.GOMAXPROCS(0)) {
		t.Errorf("%d threads", threads)
	}
	if n := passwordWorkers(); n < 1 || n > max(1, runtime.GOMAXPROCS(0)/2) {
		t.Errorf("%d checks at once", n)
	}
}

func TestBindWithArgon2id(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, func(row *sms.AccountConfig) { row.PasswordHash = referenceHash })
		defer w.close()
		p := w.connect(t)
		p.send(wire.CmdBindTransmitter, 0, 1, &wire.Bind{SystemID: "shop", Password: "wrong"})
		p.want(wire.CmdBindTransmitterResp, 1, wire.StatusInvalidPassword)
		for range 2 { // the second is known by its MAC
			p = w.connect(t)
			p.send(wire.CmdBindTransmitter, 0, 1, &wire.Bind{SystemID: "shop", Password: "password"})
			p.want(wire.CmdBindTransmitterResp, 1, wire.StatusOK)
		}
	})
}
