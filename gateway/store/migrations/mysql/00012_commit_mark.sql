-- +goose Up

-- Where a transaction that inserts no message leaves a number, by which is known that it took effect though its COMMIT had no answer.
-- A row is its writer's alone; an id sorts by time.
CREATE TABLE IF NOT EXISTS commit_mark (
    id CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    node VARCHAR(255) NOT NULL,
    mark BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
