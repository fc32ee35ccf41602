-- +goose Up

-- Where the registered users of SIP are reached. A row lasts as long as its registration.
CREATE TABLE IF NOT EXISTS sip_contact (
    id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    username VARCHAR(255) NOT NULL,
    contact TEXT NOT NULL,
    received VARCHAR(255) NOT NULL,
    local_address VARCHAR(255) NOT NULL,
    path TEXT NOT NULL,
    instance VARCHAR(255) NOT NULL,
    reg_id BIGINT NOT NULL,
    q SMALLINT NOT NULL,
    call_id VARCHAR(255) NOT NULL,
    cseq BIGINT NOT NULL,
    user_agent VARCHAR(255) NOT NULL,
    registered BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    KEY sip_contact_node (node)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
