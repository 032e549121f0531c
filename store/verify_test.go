package store_test

import (
	"database/sql"
	"path/filepath"
)

// tamper changes the database behind the log's back. It must change something.
func (sc *scene) tamper(query string, args ...any) {
	sc.t.Helper()
	driver, dsn := "pgx", sc.place.DSN
	if sc.place.Engine == "sqlite" {
		driver, dsn = "sqlite", "file:"+filepath.ToSlash(sc.ledgerFile())+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		sc.t.Fatal(err)
	}
	defer db.Close()
	done, err := db.ExecContext(background, query, args...)
	if err != nil {
		sc.t.Fatalf("%s: %v", query, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		sc.t.Fatalf("%s changed nothing (%v)", query, err)
	}
}
