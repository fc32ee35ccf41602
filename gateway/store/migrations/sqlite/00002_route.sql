-- +goose Up

-- The rules that say where a message goes. The gateway reads them at the start and by route_reload.
CREATE TABLE route (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name VARCHAR(255) NOT NULL DEFAULT '',
    description TEXT,
    priority INTEGER NOT NULL DEFAULT 0,
    enabled SMALLINT NOT NULL DEFAULT 1,
    ingress TEXT,
    from_match TEXT,
    to_match TEXT,
    "when" TEXT,
    targets TEXT NOT NULL,
    strategy VARCHAR(32) NOT NULL DEFAULT 'failover',
    options TEXT
);
