package gateway

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

var (
	// ErrUnknownSIPUser says that no row of table sip_user has that name.
	ErrUnknownSIPUser = errors.New("no SIP user has this name: sip_user_list lists them")
	// ErrSIPUserExists says that one has it already.
	ErrSIPUserExists = errors.New("a SIP user with this name exists: sip_user_set changes it")
)

// SIPUserChange is what becomes of a SIP user. What is nil stays as it is.
type SIPUserChange struct {
	Password *string
	Numbers  *[]string
	Enabled  *bool
}

// loadSIPUsers reads table sip_user at the start. Rows with faults are logged and not used.
func (g *Gateway) loadSIPUsers(ctx context.Context) error {
	users, faults, err := g.db.SIPUsers(ctx)
	if err != nil {
		return err
	}
	for _, f := range append(faults, g.foreignRealms(users)...) {
		g.log.Error("a SIP user is not let in until its row is corrected and sip_user_reload run", "fault", f.Error())
	}
	g.setSIPUsers(users)
	return nil
}

// foreignRealms are the faults of users whose hashes are of another realm, so that no password of theirs can be right.
func (g *Gateway) foreignRealms(users []sms.SIPUser) (faults []sms.Fault) {
	for _, u := range users {
		if u.Realm != g.sip.Realm() {
			faults = append(faults, sms.Fault{
				Path: "sip_user[username=" + u.Name + "].realm",
				Reason: fmt.Sprintf("its hashes are of realm %q and sip.realm is %q: set sip.realm to that, or a new password by sip_user_set",
					u.Realm, g.sip.Realm()),
			})
		}
	}
	return faults
}

// ReloadSIPUsers reads table sip_user again and gives how many users there are. One bad row is a *FaultsError with the faults of
// all rows, and nothing changes.
func (g *Gateway) ReloadSIPUsers(ctx context.Context) (int, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	return g.reloadSIPUsers(ctx)
}

func (g *Gateway) reloadSIPUsers(ctx context.Context) (int, error) {
	users, faults, err := g.db.SIPUsers(ctx)
	if err != nil {
		return 0, err
	}
	if faults = append(faults, g.foreignRealms(users)...); len(faults) > 0 {
		return 0, &FaultsError{Faults: faults}
	}
	g.setSIPUsers(users)
	return len(users), nil
}

func (g *Gateway) setSIPUsers(users []sms.SIPUser) {
	g.sipUsers.Store(&users)
	g.sip.SetUsers(users)
}

// SIPUsers gives table sip_user as it stands, the good rows by name.
func (g *Gateway) SIPUsers(ctx context.Context) ([]sms.SIPUser, error) {
	users, _, err := g.db.SIPUsers(ctx)
	return users, err
}

// AddSIPUser makes a user that may send from now on. ErrSIPUserExists if there is one of that name.
func (g *Gateway) AddSIPUser(ctx context.Context, name string, c SIPUserChange) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	return g.putSIPUser(ctx, sms.SIPUser{Name: name, Enabled: true}, c, true)
}

// SetSIPUser changes a user. ErrUnknownSIPUser if there is none.
func (g *Gateway) SetSIPUser(ctx context.Context, name string, c SIPUserChange) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	u, err := g.db.SIPUser(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound) && c.Password == nil: // else a row with a fault is mended by the password
		return ErrUnknownSIPUser
	case errors.Is(err, store.ErrNotFound):
		u = sms.SIPUser{Name: name, Enabled: true}
	case err != nil:
		return err
	}
	return g.putSIPUser(ctx, u, c, false)
}

func (g *Gateway) putSIPUser(ctx context.Context, u sms.SIPUser, c SIPUserChange, isNew bool) error {
	if c.Password != nil {
		u.Realm = g.sip.Realm()
		a1 := []byte(u.Name + ":" + u.Realm + ":" + *c.Password)
		weak, strong := md5.Sum(a1), sha256.Sum256(a1)
		u.HA1, u.HA1SHA256 = hex.EncodeToString(weak[:]), hex.EncodeToString(strong[:])
	}
	if c.Numbers != nil {
		u.Numbers = nil
		for _, n := range *c.Numbers {
			u.Numbers = append(u.Numbers, strings.FieldsFunc(n, func(r rune) bool { return r == ',' || r == ';' || r <= ' ' })...)
		}
	}
	if c.Enabled != nil {
		u.Enabled = *c.Enabled
	}
	err := g.db.PutSIPUser(ctx, u, isNew)
	switch {
	case errors.Is(err, store.ErrExists):
		return ErrSIPUserExists
	case errors.Is(err, store.ErrNotFound):
		return ErrUnknownSIPUser
	case err != nil:
		if f := (sms.Fault{}); errors.As(err, &f) {
			return &FaultsError{Faults: []sms.Fault{f}}
		}
		return err
	}
	g.setSIPUsers(append(g.sipUsersBut(u.Name), u))
	return nil
}

// sipUsersBut are the users that are let in, without one.
func (g *Gateway) sipUsersBut(name string) []sms.SIPUser {
	users := make([]sms.SIPUser, 0, len(*g.sipUsers.Load())+1)
	for _, u := range *g.sipUsers.Load() {
		if u.Name != name {
			users = append(users, u)
		}
	}
	return users
}

// DeleteSIPUser drops a user, who may send no more. ErrUnknownSIPUser if there is none.
func (g *Gateway) DeleteSIPUser(ctx context.Context, name string) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if err := g.db.DeleteSIPUser(ctx, name); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return ErrUnknownSIPUser
		}
		return err
	}
	g.setSIPUsers(g.sipUsersBut(name))
	return nil
}
