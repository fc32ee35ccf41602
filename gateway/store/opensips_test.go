package store

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// openSIPS is the table as OpenSIPS 3.x makes it (scripts/*/smpp-create.sql, table_version 1), and how to see that it is untouched.
var openSIPS = map[string]struct {
	create []string
	ddl    string
}{
	"sqlite": {
		[]string{`CREATE TABLE smpp (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name CHAR(255) NOT NULL,
    ip CHAR(50) NOT NULL,
    port INTEGER NOT NULL,
    system_id CHAR(16) NOT NULL,
    password CHAR(9) NOT NULL,
    system_type CHAR(13) DEFAULT '' NOT NULL,
    src_ton INTEGER DEFAULT 0 NOT NULL,
    src_npi INTEGER DEFAULT 0 NOT NULL,
    dst_ton INTEGER DEFAULT 0 NOT NULL,
    dst_npi INTEGER DEFAULT 0 NOT NULL,
    session_type INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT smpp_unique_name  UNIQUE (name)
)`},
		"SELECT sql, '' FROM sqlite_master WHERE tbl_name = 'smpp' ORDER BY name",
	},
	"mysql": {
		[]string{`CREATE TABLE smpp (
    id INT(10) UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL,
    name CHAR(255) NOT NULL,
    ip CHAR(50) NOT NULL,
    port INT(5) UNSIGNED NOT NULL,
    system_id CHAR(16) NOT NULL,
    password CHAR(9) NOT NULL,
    system_type CHAR(13) DEFAULT '' NOT NULL,
    src_ton INT UNSIGNED DEFAULT 0 NOT NULL,
    src_npi INT UNSIGNED DEFAULT 0 NOT NULL,
    dst_ton INT UNSIGNED DEFAULT 0 NOT NULL,
    dst_npi INT UNSIGNED DEFAULT 0 NOT NULL,
    session_type INT UNSIGNED DEFAULT 1 NOT NULL,
    CONSTRAINT unique_name UNIQUE (name)
) ENGINE=InnoDB`},
		"SHOW CREATE TABLE smpp",
	},
	"postgres": {
		[]string{`CREATE TABLE smpp (
    id SERIAL PRIMARY KEY NOT NULL,
    name VARCHAR(255) NOT NULL,
    ip VARCHAR(50) NOT NULL,
    port INTEGER NOT NULL,
    system_id VARCHAR(16) NOT NULL,
    password VARCHAR(9) NOT NULL,
    system_type VARCHAR(13) DEFAULT '' NOT NULL,
    src_ton INTEGER DEFAULT 0 NOT NULL,
    src_npi INTEGER DEFAULT 0 NOT NULL,
    dst_ton INTEGER DEFAULT 0 NOT NULL,
    dst_npi INTEGER DEFAULT 0 NOT NULL,
    session_type INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT smpp_unique_name UNIQUE (name)
)`, `ALTER SEQUENCE smpp_id_seq MAXVALUE 2147483647 CYCLE`},
		`SELECT column_name, concat_ws(' ', ordinal_position, data_type, character_maximum_length, is_nullable, column_default)
			FROM information_schema.columns WHERE table_name = 'smpp' AND table_schema = current_schema()
		UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'smpp'::regclass
		UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'smpp' AND schemaname = current_schema() ORDER BY 1`,
	},
}

func TestRunsOnOpenSIPSTable(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		kind, _, _ := strings.Cut(url, ":")
		theirs, pool := openSIPS[kind], raw(t, url)
		for _, query := range append([]string{
			"CREATE TABLE version (table_name CHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL)",
			"INSERT INTO version (table_name, table_version) VALUES ('smpp', 1)",
		}, theirs.create...) {
			if _, err := pool.Exec(query); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := pool.Exec(`INSERT INTO smpp (name, ip, port, system_id, password, src_ton, src_npi, session_type)
			VALUES ('old', '10.0.0.1', 2775, 'gw', 'pw345678', 1, 1, 3)`); err != nil {
			t.Fatal(err)
		}
		ddl := func() (lines []string) {
			rows, err := pool.Query(theirs.ddl)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var a, b *string
				if err := rows.Scan(&a, &b); err != nil {
					t.Fatal(err)
				}
				line := ""
				for _, s := range []*string{a, b} {
					if s != nil {
						line += *s + " "
					}
				}
				lines = append(lines, line)
			}
			return lines
		}
		before := ddl()

		db := open(t, url)
		old := NewConnection("old", "10.0.0.1", 2775)
		old.SystemID, old.Password, old.SourceTON, old.SourceNPI, old.SessionType = "gw", "pw345678", 1, 1, sms.Receiver
		good, faults, err := db.Connections(t.Context())
		if err != nil || len(faults) > 0 || len(good) != 1 || good[0] != old {
			t.Fatalf("%+v, %v, %v", good, faults, err)
		}

		fits := NewConnection("new", "smsc.example", 2776)
		fits.SystemID, fits.SessionType = "gw", sms.Transmitter
		if err := db.PutConnection(t.Context(), fits); err != nil {
			t.Error(err)
		}
		needs := fits
		needs.Window = 11
		err = db.PutConnection(t.Context(), needs)
		if err == nil || !strings.HasPrefix(err.Error(), "db: smpp[name=new].window: table smpp has no such column") {
			t.Errorf("a value without its column: %v", err)
		}
		needs = fits
		needs.ValidityDefault = time.Hour
		if err = db.PutConnection(t.Context(), needs); err == nil || !strings.Contains(err.Error(), "smpp[name=new].options") {
			t.Errorf("an option without its column: %v", err)
		}
		if good, _, err := db.Connections(t.Context()); err != nil || len(good) != 2 || good[0] != fits || good[1] != old {
			t.Errorf("%+v, %v", good, err)
		}
		insert(t, db, sent(message("hi"), "old", "1"))
		// AUTO_INCREMENT is MySQL's count of rows that were put, and stands in its DDL.
		after := ddl()
		for _, lines := range [][]string{before, after} {
			for i, l := range lines {
				if _, rest, ok := strings.Cut(l, "AUTO_INCREMENT="); ok {
					lines[i] = strings.Replace(l, "AUTO_INCREMENT="+strings.Fields(rest)[0]+" ", "", 1)
				}
			}
		}
		if len(before) == 0 || !reflect.DeepEqual(before, after) {
			t.Errorf("the table was altered:\n%q\n%q", before, after)
		}
	})
}

func TestCharColumnsArePadded(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		pool := raw(t, url)
		for _, query := range []string{
			`CREATE TABLE smpp (id INTEGER, name CHAR(255), ip CHAR(50), port INTEGER, system_id CHAR(16), password CHAR(9), system_type CHAR(13))`,
			`INSERT INTO smpp VALUES (1, 'acme', 'host', 2775, 'gw', 'secret', NULL)`,
		} {
			if _, err := pool.Exec(query); err != nil {
				t.Fatal(err)
			}
		}
		want := NewConnection("acme", "host", 2775)
		want.SystemID, want.Password = "gw", "secret"
		good, faults, err := open(t, url).Connections(t.Context())
		if err != nil || len(faults) > 0 || len(good) != 1 || good[0] != want {
			t.Errorf("%+v, %v, %v", good, faults, err)
		}
	})
}
