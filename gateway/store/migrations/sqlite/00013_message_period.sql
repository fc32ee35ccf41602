-- +goose Up

-- The entries of a period are together in the indexes by number. period is its end: later than the id of each of its messages. What is
-- there already was written in the one that never ends.
ALTER TABLE message ADD COLUMN period BIGINT NOT NULL DEFAULT 9223372036854775807;
DROP INDEX message_from;
DROP INDEX message_to;
CREATE INDEX message_from ON message (period, from_address, id);
CREATE INDEX message_to ON message (period, to_address, id);
