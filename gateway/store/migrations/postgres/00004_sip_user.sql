-- +goose Up

-- Who may send by SIP with credentials. The hashes are of username:realm:password, as digest wants them (RFC 7616, 3.4.2).
CREATE TABLE sip_user (
    id SERIAL PRIMARY KEY NOT NULL,
    username VARCHAR(255) NOT NULL,
    realm VARCHAR(255) NOT NULL,
    ha1 VARCHAR(64) NOT NULL DEFAULT '',
    ha1_sha256 VARCHAR(64) NOT NULL DEFAULT '',
    from_numbers TEXT,
    enabled SMALLINT NOT NULL DEFAULT 1,
    CONSTRAINT sip_user_username UNIQUE (username)
);
