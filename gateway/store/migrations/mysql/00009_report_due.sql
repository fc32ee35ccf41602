-- +goose Up

-- When the report of a message that was sent is given up stands in next_attempt. Those that were sent before have a week.
UPDATE message SET next_attempt = received + 604800000 WHERE state = 'sent' AND next_attempt = 0;

-- A receipt that ends a report which the SMSC never gave.
ALTER TABLE account_receipt ADD COLUMN closing SMALLINT NOT NULL DEFAULT 0;
