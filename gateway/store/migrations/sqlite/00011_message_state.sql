-- +goose Up

-- Only what something is still to become of is looked for by its state, and what failed: most messages need no entry, or lose it
-- with their report.
DROP INDEX message_state;
CREATE INDEX message_state ON message (state, next_attempt) WHERE state = 'deferred' OR state = 'sent' OR state = 'failed';
