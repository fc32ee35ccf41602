-- +goose Up

-- How far the numbers of a node's events are reserved. Where the node ended as it should, reserved is the last that was used.
CREATE TABLE IF NOT EXISTS event_sequence (
    node VARCHAR(255) NOT NULL PRIMARY KEY,
    reserved BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Who gets the events of a node durably. owner is the name of the token that it belongs to, url of a webhook; filter is JSON.
CREATE TABLE IF NOT EXISTS event_subscription (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL,
    node VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    filter TEXT NOT NULL,
    url TEXT NOT NULL,
    secret VARCHAR(255) NOT NULL,
    expires BIGINT NOT NULL,
    CONSTRAINT event_subscription_name UNIQUE (node, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The events that wait for a subscription until it has acknowledged them. event is the notification.
CREATE TABLE IF NOT EXISTS event_queue (
    subscription INT UNSIGNED NOT NULL,
    seq BIGINT NOT NULL,
    created BIGINT NOT NULL,
    event MEDIUMTEXT NOT NULL,
    PRIMARY KEY (subscription, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Events that were written with what they tell of, and have no number yet. params are those that the event itself has.
CREATE TABLE IF NOT EXISTS event_note (
    id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    name VARCHAR(64) NOT NULL,
    params MEDIUMTEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
