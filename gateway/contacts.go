package gateway

import (
	"context"
	"errors"

	"sipsmpp/events"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

var (
	// ErrNoRegistrar says that nobody can register here.
	ErrNoRegistrar = errors.New("nobody can register here: set sip.registrar")
	// ErrUnknownContact says that a user has no such contact.
	ErrUnknownContact = errors.New("the user has no such contact: sip_contacts lists them")
)

// ContactsChanged keeps what became of the contacts of SIP users, and tells the world.
func (h fromSIP) ContactsChanged(changes []sip.ContactChange, done func(error)) {
	var keep []sms.Contact
	var drop []sms.ID
	for _, c := range changes {
		switch {
		case c.Gone != "":
			drop = append(drop, c.Contact.ID)
			h.g.hub.Publish(events.SIPUnregistered{User: c.Contact.User, Contact: c.Contact.URI, Reason: c.Gone})
			continue
		case c.New:
			h.g.hub.Publish(events.SIPRegistered{
				User: c.Contact.User, Contact: c.Contact.URI, Received: c.Contact.Received, Expires: events.Time(c.Contact.Expires),
				UserAgent: c.Contact.UserAgent,
			})
		}
		keep = append(keep, c.Contact)
	}
	if done == nil {
		done = h.g.logUnkept
	}
	h.g.db.KeepContacts(keep, drop, done)
}

// logUnkept is told what became of a change that nobody waits for.
func (g *Gateway) logUnkept(err error) {
	if err != nil {
		g.log.Warn("a contact that is gone stays in table sip_contact until it has expired", "error", err)
	}
}

// UserArrived says that a user is reached again: what waits for its numbers is tried.
func (h fromSIP) UserArrived(u *sms.SIPUser) {
	for _, number := range u.Addresses() {
		h.g.keeper.recipient(sms.SIP.String(), number)
	}
}

// restoreContacts takes those of table sip_contact into use that still hold, and drops the others.
func (g *Gateway) restoreContacts(ctx context.Context) error {
	if !g.sip.Registrar() {
		return nil
	}
	kept, err := g.db.Contacts(ctx)
	if err != nil {
		return err
	}
	gone := g.sip.RestoreContacts(kept)
	if len(gone) == 0 {
		return nil
	}
	drop := make([]sms.ID, len(gone))
	for i, c := range gone {
		drop[i] = c.ID
	}
	g.db.KeepContacts(nil, drop, g.logUnkept)
	return nil
}

// SIPContacts lists where the users of SIP are reached: one user, or all for "". ErrUnknownSIPUser if there is none of that name.
func (g *Gateway) SIPContacts(ctx context.Context, user string) ([]sms.Contact, error) {
	contacts := g.sip.Contacts(user)
	if user != "" && len(contacts) == 0 {
		if _, err := g.db.SIPUser(ctx, user); errors.Is(err, store.ErrNotFound) {
			return nil, ErrUnknownSIPUser
		} else if err != nil {
			return nil, err
		}
	}
	return contacts, nil
}

// SIPRegistrar says that users may register here.
func (g *Gateway) SIPRegistrar() bool { return g.sip.Registrar() }

// DeleteSIPContacts drops the contacts of a user, or the one with that URI or id, and says how many. The user agent is not told: it
// registers again when its time has come. ErrUnknownContact if there is none.
func (g *Gateway) DeleteSIPContacts(ctx context.Context, user, contact string) (int, error) {
	if !g.sip.Registrar() {
		return 0, ErrNoRegistrar
	}
	kept := make(chan error, 1)
	n := g.sip.DropContacts(user, contact, func(err error) { kept <- err })
	select {
	case err := <-kept:
		if err == nil && n == 0 {
			err = ErrUnknownContact
		}
		return n, err
	case <-ctx.Done():
		return n, ctx.Err()
	}
}

// sipState says how a message to SIP stands: with the recipient's own contacts, where it is a user who may register, else with the
// next hops.
func (g *Gateway) sipState(to sms.Address) (string, []sms.Contact) {
	users, contacts := g.sip.ContactsFor(to)
	switch {
	case len(contacts) > 0:
		return "registered", contacts
	case len(users) > 0:
		return "away", nil
	case len(g.config.SIP.OutboundURI) == 0:
		return "no next hop", nil
	}
	return "ready", nil
}
