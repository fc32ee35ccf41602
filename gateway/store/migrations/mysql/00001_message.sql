-- +goose Up

-- OpenSIPS' table (module proto_smpp, table_version 1) with our columns behind its twelve. Where OpenSIPS made it already, it
-- stays as it is: the gateway takes the defaults for what it lacks.
CREATE TABLE IF NOT EXISTS smpp (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL,
    name VARCHAR(255) NOT NULL,
    ip VARCHAR(255) NOT NULL,
    port INTEGER NOT NULL,
    system_id VARCHAR(255) NOT NULL DEFAULT '',
    password VARCHAR(255) NOT NULL DEFAULT '',
    system_type VARCHAR(255) NOT NULL DEFAULT '',
    src_ton INTEGER NOT NULL DEFAULT 0,
    src_npi INTEGER NOT NULL DEFAULT 0,
    dst_ton INTEGER NOT NULL DEFAULT 0,
    dst_npi INTEGER NOT NULL DEFAULT 0,
    session_type INTEGER NOT NULL DEFAULT 1,
    enabled SMALLINT NOT NULL DEFAULT 1,
    tls SMALLINT NOT NULL DEFAULT 0,
    binds INTEGER NOT NULL DEFAULT 1,
    `window` INTEGER NOT NULL DEFAULT 10,
    throughput INTEGER NOT NULL DEFAULT 0,
    enquire_link INTEGER NOT NULL DEFAULT 30,
    response_timeout INTEGER NOT NULL DEFAULT 10,
    alphabet VARCHAR(32) NOT NULL DEFAULT 'gsm7',
    long_message VARCHAR(32) NOT NULL DEFAULT 'udh16',
    smsc_id_format VARCHAR(32) NOT NULL DEFAULT 'auto',
    options TEXT,
    CONSTRAINT smpp_unique_name UNIQUE (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- A statement that defines a table ends the transaction here, so a start that was cut short goes on where it ended: hence IF
-- NOT EXISTS throughout.
--
-- Times are milliseconds since 1970, UTC; 0 is none. An id sorts by time, so the primary key is the index by time, too.
CREATE TABLE IF NOT EXISTS message (
    id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    ref TEXT NOT NULL,
    idempotency_key VARCHAR(255),
    ingress VARCHAR(300) NOT NULL,
    peer TEXT NOT NULL,
    from_address VARCHAR(255) NOT NULL,
    from_ton SMALLINT NOT NULL,
    from_npi SMALLINT NOT NULL,
    to_address VARCHAR(255) NOT NULL,
    to_ton SMALLINT NOT NULL,
    to_npi SMALLINT NOT NULL,
    text LONGTEXT NOT NULL,
    data LONGBLOB,
    udh LONGBLOB,
    coding VARCHAR(16) NOT NULL,
    data_coding SMALLINT,
    class SMALLINT,
    priority SMALLINT NOT NULL,
    options LONGTEXT,
    segments INTEGER NOT NULL,
    receipt VARCHAR(8) NOT NULL,
    received BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    connection VARCHAR(255) NOT NULL,
    egress VARCHAR(300) NOT NULL,
    rule VARCHAR(255) NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt BIGINT NOT NULL,
    report_state VARCHAR(16) NOT NULL,
    report_error VARCHAR(255) NOT NULL,
    done_time BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    KEY message_state (state, next_attempt),
    KEY message_from (from_address, id),
    KEY message_to (to_address, id),
    KEY message_idempotency_key (idempotency_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- smsc_key is the normal form of smsc_id, by which receipts are matched.
CREATE TABLE IF NOT EXISTS message_segment (
    message_id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    part SMALLINT NOT NULL,
    leg VARCHAR(300) NOT NULL,
    smsc_id VARCHAR(255) NOT NULL,
    smsc_key VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    error VARCHAR(255) NOT NULL,
    done_time BIGINT NOT NULL,
    PRIMARY KEY (message_id, part),
    KEY message_segment_smsc (leg, smsc_key, message_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The parts of inbound long messages that wait for the rest. A part has an id of its own, and belongs to the node that took it.
CREATE TABLE IF NOT EXISTS message_part (
    id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    received BIGINT NOT NULL,
    message LONGBLOB NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
