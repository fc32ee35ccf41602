-- +goose Up

-- The attempts that were refused or had no answer, the last of a message: slot is the attempt's number modulo how many are kept.
CREATE TABLE IF NOT EXISTS failed_attempt (
    message_id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    slot SMALLINT NOT NULL,
    attempt INTEGER NOT NULL,
    ended BIGINT NOT NULL,
    egress VARCHAR(255) NOT NULL,
    reason VARCHAR(255) NOT NULL,
    PRIMARY KEY (message_id, slot)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
