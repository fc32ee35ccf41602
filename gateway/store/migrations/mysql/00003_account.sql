-- +goose Up

-- The ESMEs that may bind to our listener.
CREATE TABLE IF NOT EXISTS smpp_account (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL,
    system_id VARCHAR(255) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    allowed_ips VARCHAR(1000) NOT NULL DEFAULT '',
    bind_modes VARCHAR(64) NOT NULL DEFAULT 'transceiver,transmitter,receiver',
    max_binds INTEGER NOT NULL DEFAULT 10,
    `window` INTEGER NOT NULL DEFAULT 100,
    throughput INTEGER NOT NULL DEFAULT 0,
    enabled SMALLINT NOT NULL DEFAULT 1,
    options TEXT,
    CONSTRAINT smpp_account_system_id UNIQUE (system_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The receipts that accounts are owed, until they have them. An id sorts by time.
CREATE TABLE IF NOT EXISTS account_receipt (
    id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    account VARCHAR(255) NOT NULL,
    message_id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
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
    next_attempt BIGINT NOT NULL,
    KEY account_receipt_due (account, next_attempt)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
