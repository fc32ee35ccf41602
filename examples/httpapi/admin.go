package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sipsmpp/examples/httpapi/hook"
	"sipsmpp/examples/httpapi/store"
)

// adminCommands are the operator's: they work on the database, while the application runs or not.
func adminCommands(path *string) []*cobra.Command {
	a := admin{path}
	return []*cobra.Command{a.customer(), a.key(), a.login(), a.sender(), a.number(), a.price(), a.webhook()}
}

type admin struct{ path *string }

// on runs do with the database; with customer's name as first argument do gets that customer.
func (a admin) on(c *cobra.Command, do func(ctx context.Context, db *store.DB) error) (err error) {
	settings, err := load(*a.path)
	if err != nil {
		return err
	}
	db, err := store.Open(c.Context(), settings.DB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(c.Context(), db)
}

func (a admin) onCustomer(name string, c *cobra.Command, do func(ctx context.Context, db *store.DB, customer store.Customer) error) error {
	return a.on(c, func(ctx context.Context, db *store.DB) error {
		customer, err := db.CustomerByName(ctx, name)
		if err != nil {
			return err
		}
		return do(ctx, db, customer)
	})
}

func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return fmt.Errorf("%s wants a command; httpapi %[1]s --help names them", c.Name())
	}}
	g.AddCommand(commands...)
	return g
}

// table prints lines of columns that are separated by tabs.
func table(w io.Writer, lines []string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, line := range lines {
		if _, err := fmt.Fprintln(t, line); err != nil {
			return err
		}
	}
	return t.Flush()
}

// terms are the flags of a customer.
type terms struct {
	price, balance, credit string
	throughput             int
	sender, webhook        string
	enabled                bool
}

func (t *terms) flags(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&t.price, "price", "0", "of a segment, where no prefix has another")
	f.StringVar(&t.credit, "credit", "0", "how far the balance may go below zero")
	f.IntVar(&t.throughput, "throughput", 10, "messages a second; 0 is unlimited")
	f.StringVar(&t.sender, "sender", "", "what it sends from where it names no sender")
}

// apply puts the flags that were given into a customer.
func (t *terms) apply(c *cobra.Command, customer *store.Customer) (err error) {
	given := func(name string) bool { return c.Flags().Changed(name) || customer.ID == "" }
	if given("price") {
		if customer.Price, err = priceOf(t.price); err != nil {
			return fmt.Errorf("--price: %w", err)
		}
	}
	if given("credit") {
		if customer.Credit, err = priceOf(t.credit); err != nil {
			return fmt.Errorf("--credit: %w", err)
		}
	}
	if given("throughput") {
		customer.Throughput = t.throughput
	}
	if given("sender") {
		customer.DefaultSender = t.sender
	}
	return nil
}

// priceOf reads an amount that cannot be less than nothing.
func priceOf(s string) (store.Amount, error) {
	amount, err := store.ParseAmount(s)
	if err == nil && amount < 0 {
		err = errors.New("it is less than nothing")
	}
	return amount, err
}

func (a admin) customer() *cobra.Command {
	var t terms
	add := &cobra.Command{Use: "add NAME", Short: "Make a customer", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		customer := store.Customer{Name: args[0], WebhookURL: t.webhook}
		if err := t.apply(c, &customer); err != nil {
			return err
		}
		var err error
		if customer.Balance, err = store.ParseAmount(t.balance); err != nil {
			return fmt.Errorf("--balance: %w", err)
		}
		if t.webhook != "" {
			if err := hook.CheckURL(t.webhook, true); err != nil {
				return fmt.Errorf("--webhook: %w", err)
			}
		}
		return a.on(c, func(ctx context.Context, db *store.DB) error {
			_, err := db.AddCustomer(ctx, customer)
			return err
		})
	}}
	t.flags(add)
	add.Flags().StringVar(&t.balance, "balance", "0", "to begin with")
	add.Flags().StringVar(&t.webhook, "webhook", "", "URL that is told of reports and incoming messages")
	var changed terms
	set := &cobra.Command{Use: "set NAME", Short: "Change what flags name", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
			if err := changed.apply(c, &customer); err != nil {
				return err
			}
			if c.Flags().Changed("enabled") {
				customer.Enabled = changed.enabled
			}
			return db.SetCustomer(ctx, customer)
		})
	}}
	changed.flags(set)
	set.Flags().BoolVar(&changed.enabled, "enabled", true, "false: its keys and passwords are refused")
	var reason string
	pay := &cobra.Command{Use: "pay NAME AMOUNT", Short: "Add to a balance; NAME -- -AMOUNT takes from it", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		amount, err := store.ParseAmount(args[1])
		if err != nil {
			return err
		}
		return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
			return db.Pay(ctx, customer.ID, amount, reason)
		})
	}}
	pay.Flags().StringVar(&reason, "reason", "payment", "for the ledger")
	list := &cobra.Command{Use: "list", Short: "List the customers", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.on(c, func(ctx context.Context, db *store.DB) error {
			customers, err := db.Customers(ctx)
			if err != nil {
				return err
			}
			lines := []string{"NAME\tENABLED\tBALANCE\tCREDIT\tPRICE\tTHROUGHPUT\tSENDERS\tNUMBERS\tWEBHOOK"}
			for _, cu := range customers {
				senders, err := db.Senders(ctx, cu.ID)
				if err != nil {
					return err
				}
				numbers, err := db.Numbers(ctx, cu.ID)
				if err != nil {
					return err
				}
				if cu.DefaultSender != "" {
					senders = append([]string{cu.DefaultSender}, senders...)
				}
				lines = append(lines, fmt.Sprintf("%s\t%t\t%s\t%s\t%s\t%d\t%s\t%s\t%s", cu.Name, cu.Enabled, cu.Balance, cu.Credit, cu.Price, cu.Throughput,
					strings.Join(senders, ","), strings.Join(numbers, ","), cu.WebhookURL))
			}
			return table(c.OutOrStdout(), lines)
		})
	}}
	return group("customer", "Customers and what they pay", add, set, pay, list)
}

func (a admin) key() *cobra.Command {
	var rights, label string
	add := &cobra.Command{Use: "add CUSTOMER", Short: "Make an API key and print it: it is not shown again", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		may, err := store.ParseRights(rights)
		if err != nil {
			return fmt.Errorf("--rights: %w", err)
		}
		return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
			key, err := db.AddKey(ctx, customer.ID, label, may)
			if err == nil {
				_, err = fmt.Fprintln(c.OutOrStdout(), key)
			}
			return err
		})
	}}
	add.Flags().StringVar(&rights, "rights", "send,read,webhook", "what it may do")
	add.Flags().StringVar(&label, "label", "", "what it is for")
	list := &cobra.Command{Use: "list CUSTOMER", Short: "List a customer's keys", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
			keys, err := db.Keys(ctx, customer.ID)
			if err != nil {
				return err
			}
			lines := []string{"ID\tLABEL\tRIGHTS\tCREATED\tREVOKED"}
			for _, k := range keys {
				lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", k.ID, k.Label, k.Rights, when(k.Created), when(k.Revoked)))
			}
			return table(c.OutOrStdout(), lines)
		})
	}}
	revoke := &cobra.Command{Use: "revoke ID", Short: "End a key", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.on(c, func(ctx context.Context, db *store.DB) error { return db.RevokeKey(ctx, args[0]) })
	}}
	return group("key", "API keys", add, list, revoke)
}

func when(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return store.Time(ms).Format(time.DateTime)
}

func (a admin) login() *cobra.Command {
	set := &cobra.Command{Use: "set CUSTOMER USERNAME", Short: "Set a password for Kannel's and Jasmin's clients; it is read from standard input",
		Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
			password, err := readPassword(c)
			if err != nil {
				return err
			}
			return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
				return db.SetLogin(ctx, customer.ID, args[1], password)
			})
		}}
	return group("login", "User names and passwords of Kannel's and Jasmin's clients", set)
}

func readPassword(c *cobra.Command) (string, error) {
	var line []byte
	var err error
	if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprint(c.ErrOrStderr(), "password: ") // a prompt that is not seen harms nobody
		line, err = term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(c.ErrOrStderr())
	} else {
		line, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 1024))
	}
	password := strings.TrimRight(string(line), "\r\n")
	if err == nil && password == "" {
		err = errors.New("no password came on standard input")
	}
	return password, err
}

func (a admin) sender() *cobra.Command {
	change := func(use, short string, allow bool) *cobra.Command {
		return &cobra.Command{Use: use + " CUSTOMER SENDER...", Short: short, Args: cobra.MinimumNArgs(2), RunE: func(c *cobra.Command, args []string) error {
			return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
				for _, sender := range args[1:] {
					if err := db.SetSender(ctx, customer.ID, sender, allow); err != nil {
						return err
					}
				}
				return nil
			})
		}}
	}
	return group("sender", "What customers may send from: exact, or a prefix with * behind it",
		change("allow", "Allow senders", true), change("forbid", "Allow them no more", false))
}

func (a admin) number() *cobra.Command {
	assign := &cobra.Command{Use: "assign CUSTOMER NUMBER...", Short: "Give messages to numbers to a customer", Args: cobra.MinimumNArgs(2), RunE: func(c *cobra.Command, args []string) error {
		return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
			for _, number := range args[1:] {
				if err := db.SetNumber(ctx, customer.ID, number); err != nil {
					return err
				}
			}
			return nil
		})
	}}
	release := &cobra.Command{Use: "release NUMBER...", Short: "Give them to nobody", Args: cobra.MinimumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.on(c, func(ctx context.Context, db *store.DB) error {
			for _, number := range args {
				if err := db.SetNumber(ctx, "", number); err != nil {
					return err
				}
			}
			return nil
		})
	}}
	return group("number", "Numbers whose messages are a customer's; let the gateway route them to app", assign, release)
}

func (a admin) price() *cobra.Command {
	set := &cobra.Command{Use: "set CUSTOMER|'*' PREFIX AMOUNT", Short: "Set the price of a segment to numbers with a prefix", Args: cobra.ExactArgs(3), RunE: func(c *cobra.Command, args []string) error {
		amount, err := priceOf(args[2])
		if err != nil {
			return err
		}
		if args[0] == store.Everybody {
			return a.on(c, func(ctx context.Context, db *store.DB) error {
				return db.SetPrice(ctx, store.Everybody, args[1], amount)
			})
		}
		return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
			return db.SetPrice(ctx, customer.ID, args[1], amount)
		})
	}}
	return group("price", "Prices by prefix; the longest decides, a customer's own before everybody's", set)
}

func (a admin) webhook() *cobra.Command {
	dead := &cobra.Command{Use: "dead [CUSTOMER]", Short: "List deliveries that were given up", Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.on(c, func(ctx context.Context, db *store.DB) error {
			id := ""
			if len(args) == 1 {
				customer, err := db.CustomerByName(ctx, args[0])
				if err != nil {
					return err
				}
				id = customer.ID
			}
			list, err := db.Hooks(ctx, id, store.HookDead, "", 1000)
			if err != nil {
				return err
			}
			lines := []string{"ID\tMESSAGE\tEVENT\tATTEMPTS\tCREATED\tURL\tERROR"}
			for _, h := range list {
				lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s\t%s", h.ID, h.MessageID, h.Event, h.Attempts, when(h.Created), h.Target(), h.LastError))
			}
			return table(c.OutOrStdout(), lines)
		})
	}}
	retry := &cobra.Command{Use: "retry CUSTOMER [ID]", Short: "Try a dead delivery again, or all of a customer's", Args: cobra.RangeArgs(1, 2), RunE: func(c *cobra.Command, args []string) error {
		id := ""
		if len(args) == 2 {
			id = args[1]
		}
		return a.onCustomer(args[0], c, func(ctx context.Context, db *store.DB, customer store.Customer) error {
			n, err := db.RetryHook(ctx, customer.ID, id)
			if err == nil {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%d are tried again\n", n)
			}
			return err
		})
	}}
	return group("webhook", "Deliveries to customers' servers", dead, retry)
}
