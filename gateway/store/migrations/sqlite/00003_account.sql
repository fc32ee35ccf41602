-- +goose Up

-- The ESMEs that may bind to our listener.
CREATE TABLE smpp_account (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    system_id VARCHAR(255) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    allowed_ips VARCHAR(1000) NOT NULL DEFAULT '',
    bind_modes VARCHAR(64) NOT NULL DEFAULT 'transceiver,transmitter,receiver',
    max_binds INTEGER NOT NULL DEFAULT 10,
    "window" INTEGER NOT NULL DEFAULT 100,
    throughput INTEGER NOT NULL DEFAULT 0,
    enabled SMALLINT NOT NULL DEFAULT 1,
    options TEXT,
    CONSTRAINT smpp_account_system_id UNIQUE (system_id)
);

-- The receipts that accounts are owed, until they have them. An id sorts by time.
CREATE TABLE account_receipt (
    id CHAR(26) NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    account VARCHAR(255) NOT NULL,
    message_id CHAR(26) NOT NULL,
    from_address VARCHAR(255) NOT NULL,
    from_ton SMALLINT NOT NULL,
    from_npi SMALLINT NOT NULL,
    to_address VARCHAR(255) NOT NULL,
    to_ton SMALLINT NOT NULL,
    to_npi SMALLINT NOT NULL,
    state VARCHAR(16) NOT NULL,
    error VARCHAR(255) NOT NULL,
    done_time BIGINT NOT NULL,
    created BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt BIGINT NOT NULL
);

CREATE INDEX account_receipt_due ON account_receipt (account, next_attempt);
