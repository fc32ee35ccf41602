-- +goose Up

-- Where the registered users of SIP are reached. A row lasts as long as its registration.
CREATE TABLE sip_contact (
    id CHAR(26) PRIMARY KEY NOT NULL,
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
    expires BIGINT NOT NULL
);
CREATE INDEX sip_contact_node ON sip_contact (node);
