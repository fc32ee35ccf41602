-- +goose Up

-- The attempts that were refused or had no answer, the last of a message: slot is the attempt's number modulo how many are kept.
CREATE TABLE failed_attempt (
    message_id CHAR(26) NOT NULL,
    slot SMALLINT NOT NULL,
    attempt INTEGER NOT NULL,
    ended BIGINT NOT NULL,
    egress VARCHAR(255) NOT NULL,
    reason VARCHAR(255) NOT NULL,
    PRIMARY KEY (message_id, slot)
);
