-- +goose Up

-- How each message of state `deferred` waits. What changes with an attempt is here, in a narrow row, and not in table message.
-- waiting: 0 for next_attempt, 1 for an older message of its queue, 2 for message_retry.
CREATE TABLE deferred (
    id CHAR(26) NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    target VARCHAR(300) NOT NULL,
    queue BIGINT NOT NULL,
    waiting SMALLINT NOT NULL,
    next_attempt BIGINT NOT NULL,
    give_up BIGINT NOT NULL,
    octets INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    unknown_fates INTEGER NOT NULL,
    trying SMALLINT NOT NULL,
    reason VARCHAR(255) NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX deferred_due ON deferred (target, waiting, next_attempt, id);
CREATE INDEX deferred_queue ON deferred (queue, id);
CREATE INDEX deferred_give_up ON deferred (give_up, id);
