package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Customer is one customer.
type Customer struct {
	ID            string `db:"id"`
	Name          string `db:"name"`
	Enabled       bool   `db:"enabled"`
	Balance       Amount `db:"balance"`
	Credit        Amount `db:"credit"`
	Price         Amount `db:"price"`
	Throughput    int    `db:"throughput"`
	DefaultSender string `db:"default_sender"`
	WebhookURL    string `db:"webhook_url"`
	WebhookSecret string `db:"webhook_secret"`
	Created       int64  `db:"created"`
}

// Right is what a key may do.
type Right string

// The rights.
const (
	MaySend    Right = "send"
	MayRead    Right = "read"
	MayWebhook Right = "webhook" // set the webhook, and order dead deliveries again
)

// Rights are all of them.
var Rights = []Right{MaySend, MayRead, MayWebhook}

// ParseRights reads rights that are separated by commas.
func ParseRights(s string) ([]Right, error) {
	var rights []Right
	for name := range strings.SplitSeq(s, ",") {
		r := Right(strings.TrimSpace(name))
		if !slices.Contains(Rights, r) {
			return nil, fmt.Errorf("%q is no right: want some of send, read, webhook", name)
		}
		rights = append(rights, r)
	}
	return rights, nil
}

// Key is an API key as the database knows it.
type Key struct {
	ID      string `db:"id"`
	Label   string `db:"label"`
	Rights  string `db:"rights"`
	Created int64  `db:"created"`
	Revoked int64  `db:"revoked"`
}

// May says whether the key has a right.
func (k Key) May(r Right) bool { return slices.Contains(strings.Split(k.Rights, ","), string(r)) }

// AddCustomer makes a customer and gives its id.
func (db *DB) AddCustomer(ctx context.Context, c Customer) (string, error) {
	if c.Name == "" || len(c.Name) > 64 || strings.ContainsAny(c.Name, " *") {
		return "", errors.New("a customer's name has 1 to 64 characters and no blanks")
	}
	err := db.Write(ctx, func(ctx context.Context, tx Tx) error {
		var n int
		if err := tx.get(ctx, &n, "SELECT COUNT(*) FROM customer WHERE name = ?", c.Name); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("customer %s: %w", c.Name, ErrExists)
		}
		c.ID, c.WebhookSecret = newID(tx.now), newSecret()
		if _, err := tx.exec(ctx, `INSERT INTO customer (id, name, enabled, balance, credit, price, throughput, default_sender, webhook_url, webhook_secret, created)
			VALUES (?, ?, 1, 0, ?, ?, ?, ?, ?, ?, ?)`, c.ID, c.Name, c.Credit, c.Price, c.Throughput, c.DefaultSender, c.WebhookURL, c.WebhookSecret, millis(tx.now)); err != nil {
			return err
		}
		return tx.pay(ctx, c.ID, "", c.Balance, "opening balance")
	})
	return c.ID, err
}

// SetCustomer writes what may change of a customer, by its id. The balance is not among that.
func (db *DB) SetCustomer(ctx context.Context, c Customer) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		_, err := tx.exec(ctx, "UPDATE customer SET enabled = ?, credit = ?, price = ?, throughput = ?, default_sender = ? WHERE id = ?",
			asInt(c.Enabled), c.Credit, c.Price, c.Throughput, c.DefaultSender, c.ID)
		return err
	})
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Customers lists them by name.
func (db *DB) Customers(ctx context.Context) (list []Customer, err error) {
	return list, db.list(ctx, &list, "SELECT * FROM customer ORDER BY name")
}

// CustomerByName finds one.
func (db *DB) CustomerByName(ctx context.Context, name string) (c Customer, err error) {
	if err = db.get(ctx, &c, "SELECT * FROM customer WHERE name = ?", name); err != nil {
		err = fmt.Errorf("customer %s: %w", name, err)
	}
	return c, err
}

// Customer finds one by its id.
func (db *DB) Customer(ctx context.Context, id string) (c Customer, err error) {
	return c, db.get(ctx, &c, "SELECT * FROM customer WHERE id = ?", id)
}

// Pay changes a customer's balance.
func (db *DB) Pay(ctx context.Context, customer string, amount Amount, reason string) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error { return tx.pay(ctx, customer, "", amount, reason) })
}

// pay changes a balance and writes the ledger, whatever the balance is then.
func (tx Tx) pay(ctx context.Context, customer, message string, amount Amount, reason string) error {
	if amount == 0 {
		return nil
	}
	if _, err := tx.exec(ctx, "UPDATE customer SET balance = balance + ? WHERE id = ?", amount, customer); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "INSERT INTO ledger (id, customer_id, message_id, amount, reason, created) VALUES (?, ?, ?, ?, ?, ?)",
		newID(tx.now), customer, message, amount, clip(reason, 200), millis(tx.now))
	return err
}

// random is so many octets that nobody can guess, in characters for URLs and headers.
func random(octets int) string {
	b := make([]byte, octets)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// newSecret is a secret of a webhook, as Standard Webhooks writes it.
func newSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return "whsec_" + base64.StdEncoding.EncodeToString(b)
}

func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// AddKey makes an API key. It is told here and never again.
func (db *DB) AddKey(ctx context.Context, customer, label string, rights []Right) (string, error) {
	names := make([]string, len(rights))
	for i, r := range rights {
		names[i] = string(r)
	}
	key := "sk_" + random(32)
	return key, db.Write(ctx, func(ctx context.Context, tx Tx) error {
		_, err := tx.exec(ctx, "INSERT INTO api_key (id, customer_id, hash, label, rights, created) VALUES (?, ?, ?, ?, ?, ?)",
			newID(tx.now), customer, hashKey(key), clip(label, 64), strings.Join(names, ","), millis(tx.now))
		return err
	})
}

// Keys lists a customer's keys.
func (db *DB) Keys(ctx context.Context, customer string) (list []Key, err error) {
	return list, db.list(ctx, &list, "SELECT id, label, rights, created, revoked FROM api_key WHERE customer_id = ? ORDER BY id", customer)
}

// RevokeKey ends a key by its id.
func (db *DB) RevokeKey(ctx context.Context, id string) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		n, err := tx.exec(ctx, "UPDATE api_key SET revoked = ? WHERE id = ? AND revoked = 0", millis(tx.now), id)
		if err == nil && n == 0 {
			err = fmt.Errorf("key %s: %w", id, ErrNotFound)
		}
		return err
	})
}

// ByKey finds the customer that a key is of.
func (db *DB) ByKey(ctx context.Context, key string) (c Customer, k Key, err error) {
	if err = db.get(ctx, &k, "SELECT id, label, rights, created, revoked FROM api_key WHERE hash = ? AND revoked = 0", hashKey(key)); err != nil {
		return c, k, err
	}
	return c, k, db.get(ctx, &c, "SELECT c.* FROM customer c JOIN api_key k ON k.customer_id = c.id WHERE k.id = ? AND c.enabled = 1", k.ID)
}

// SetLogin gives a customer a user name and password for the doors that Kannel's and Jasmin's clients know.
func (db *DB) SetLogin(ctx context.Context, customer, username, password string) error {
	if username == "" || len(username) > 64 {
		return errors.New("a user name has 1 to 64 characters")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return err
	}
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		var owner string
		switch err := tx.get(ctx, &owner, "SELECT customer_id FROM login WHERE username = ?", username); {
		case errors.Is(err, ErrNotFound):
			_, err = tx.exec(ctx, "INSERT INTO login (username, customer_id, password_hash) VALUES (?, ?, ?)", username, customer, string(hash))
			return err
		case err != nil:
			return err
		case owner != customer:
			return fmt.Errorf("user %s: %w, of another customer", username, ErrExists)
		}
		_, err = tx.exec(ctx, "UPDATE login SET password_hash = ? WHERE username = ?", string(hash), username)
		return err
	})
}

// Login finds the customer and the hash of the password of a user name.
func (db *DB) Login(ctx context.Context, username string) (c Customer, hash string, err error) {
	if err = db.get(ctx, &hash, "SELECT password_hash FROM login WHERE username = ?", username); err != nil {
		return c, "", err
	}
	return c, hash, db.get(ctx, &c, "SELECT c.* FROM customer c JOIN login l ON l.customer_id = c.id WHERE l.username = ? AND c.enabled = 1", username)
}

// SetSender allows or forbids a sender: exact, or a prefix with * behind it.
func (db *DB) SetSender(ctx context.Context, customer, pattern string, allow bool) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		n, err := tx.exec(ctx, "DELETE FROM sender WHERE customer_id = ? AND pattern = ?", customer, pattern)
		switch {
		case err != nil:
			return err
		case !allow && n == 0:
			return fmt.Errorf("sender %s: %w", pattern, ErrNotFound)
		case !allow:
			return nil
		}
		_, err = tx.exec(ctx, "INSERT INTO sender (customer_id, pattern) VALUES (?, ?)", customer, pattern)
		return err
	})
}

// Senders lists what a customer may send from.
func (db *DB) Senders(ctx context.Context, customer string) (list []string, err error) {
	return list, db.list(ctx, &list, "SELECT pattern FROM sender WHERE customer_id = ? ORDER BY pattern", customer)
}

// MaySendFrom says whether one of the patterns allows a sender.
func MaySendFrom(patterns []string, sender string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(sender, prefix)
		}
		return p == sender
	})
}

// SetNumber gives a number to a customer, or with an empty customer to nobody.
func (db *DB) SetNumber(ctx context.Context, customer, address string) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.exec(ctx, "DELETE FROM assigned_number WHERE address = ?", address); err != nil || customer == "" {
			return err
		}
		_, err := tx.exec(ctx, "INSERT INTO assigned_number (address, customer_id) VALUES (?, ?)", address, customer)
		return err
	})
}

// Numbers lists a customer's.
func (db *DB) Numbers(ctx context.Context, customer string) (list []string, err error) {
	return list, db.list(ctx, &list, "SELECT address FROM assigned_number WHERE customer_id = ? ORDER BY address", customer)
}

// SetWebhook sets where a customer is told of reports and incoming messages. With newSecret it gets another secret, which is given back.
func (db *DB) SetWebhook(ctx context.Context, customer, url string, renew bool) (secret string, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.exec(ctx, "UPDATE customer SET webhook_url = ? WHERE id = ?", url, customer); err != nil {
			return err
		}
		if renew {
			if _, err := tx.exec(ctx, "UPDATE customer SET webhook_secret = ? WHERE id = ?", newSecret(), customer); err != nil {
				return err
			}
		}
		return tx.get(ctx, &secret, "SELECT webhook_secret FROM customer WHERE id = ?", customer)
	})
	return secret, err
}

// Everybody is the customer of a price that holds for all.
const Everybody = "*"

// SetPrice sets the price of a segment to numbers with a prefix.
func (db *DB) SetPrice(ctx context.Context, customer, prefix string, amount Amount) error {
	return db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.exec(ctx, "DELETE FROM price WHERE customer_id = ? AND prefix = ?", customer, prefix); err != nil {
			return err
		}
		_, err := tx.exec(ctx, "INSERT INTO price (customer_id, prefix, amount) VALUES (?, ?, ?)", customer, prefix, amount)
		return err
	})
}

// PriceTo is what a segment to a number costs a customer: by the longest prefix, the customer's own before everybody's.
func (db *DB) PriceTo(ctx context.Context, c Customer, number string) (Amount, error) {
	// Every prefix of the number is asked for by its key, so that a rate sheet of any size is quick.
	prefixes := []any{c.ID, Everybody, ""}
	for i := 1; i <= min(len(number), 16); i++ {
		prefixes = append(prefixes, number[:i])
	}
	var rows []struct {
		Customer string `db:"customer_id"`
		Prefix   string `db:"prefix"`
		Amount   Amount `db:"amount"`
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(prefixes)-2), ", ")
	if err := db.list(ctx, &rows, "SELECT customer_id, prefix, amount FROM price WHERE customer_id IN (?, ?) AND prefix IN ("+marks+")", prefixes...); err != nil {
		return 0, err
	}
	best, weight := c.Price, -1
	for _, r := range rows {
		w := 2 * len(r.Prefix)
		if r.Customer == c.ID {
			w++
		}
		if w > weight {
			best, weight = r.Amount, w
		}
	}
	return best, nil
}
