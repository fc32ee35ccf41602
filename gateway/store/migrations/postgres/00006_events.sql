-- +goose Up

-- How far the numbers of a node's events are reserved. Where the node ended as it should, reserved is the last that was used.
CREATE TABLE event_sequence (
    node VARCHAR(255) NOT NULL PRIMARY KEY,
    reserved BIGINT NOT NULL
);

-- Who gets the events of a node durably. owner is the name of the token that it belongs to, url of a webhook; filter is JSON.
CREATE TABLE event_subscription (
    id SERIAL PRIMARY KEY NOT NULL,
    node VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    filter TEXT NOT NULL,
    url TEXT NOT NULL,
    secret VARCHAR(255) NOT NULL,
    expires BIGINT NOT NULL,
    CONSTRAINT event_subscription_name UNIQUE (node, name)
);

-- The events that wait for a subscription until it has acknowledged them. event is the notification.
CREATE TABLE event_queue (
    subscription INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    created BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (subscription, seq)
);

-- Events that were written with what they tell of, and have no number yet. params are those that the event itself has.
CREATE TABLE event_note (
    id CHAR(26) NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    name VARCHAR(64) NOT NULL,
    params TEXT NOT NULL
);
