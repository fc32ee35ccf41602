-- One set of tables for SQLite, PostgreSQL and MariaDB. Times are milliseconds since 1970; amounts are millionths of the currency.

-- +goose Up
CREATE TABLE customer (
  id             VARCHAR(26)   NOT NULL PRIMARY KEY,
  name           VARCHAR(64)   NOT NULL UNIQUE,
  enabled        INTEGER       NOT NULL DEFAULT 1,
  balance        BIGINT        NOT NULL DEFAULT 0,
  credit         BIGINT        NOT NULL DEFAULT 0,  -- how far the balance may go below zero
  price          BIGINT        NOT NULL DEFAULT 0,  -- of a segment, where table price names no other
  throughput     INTEGER       NOT NULL DEFAULT 10, -- messages a second
  default_sender VARCHAR(32)   NOT NULL DEFAULT '',
  webhook_url    VARCHAR(2000) NOT NULL DEFAULT '',
  webhook_secret VARCHAR(100)  NOT NULL DEFAULT '',
  created        BIGINT        NOT NULL
);

CREATE TABLE api_key (
  id          VARCHAR(26) NOT NULL PRIMARY KEY,
  customer_id VARCHAR(26) NOT NULL REFERENCES customer (id),
  hash        VARCHAR(64) NOT NULL UNIQUE,          -- SHA-256 of the key, which is random: nobody can guess it back
  label       VARCHAR(64) NOT NULL DEFAULT '',
  rights      VARCHAR(64) NOT NULL,                 -- send,read,webhook
  created     BIGINT      NOT NULL,
  revoked     BIGINT      NOT NULL DEFAULT 0
);

CREATE TABLE login (                                -- of the doors for Kannel's and Jasmin's clients
  username      VARCHAR(64)  NOT NULL PRIMARY KEY,
  customer_id   VARCHAR(26)  NOT NULL REFERENCES customer (id),
  password_hash VARCHAR(100) NOT NULL               -- bcrypt
);

CREATE TABLE sender (                               -- what a customer may send from
  customer_id VARCHAR(26) NOT NULL REFERENCES customer (id),
  pattern     VARCHAR(32) NOT NULL,                 -- exact, or a prefix with * behind it
  PRIMARY KEY (customer_id, pattern)
);

CREATE TABLE assigned_number (                      -- messages to it are the customer's
  address     VARCHAR(32) NOT NULL PRIMARY KEY,
  customer_id VARCHAR(26) NOT NULL REFERENCES customer (id)
);

CREATE TABLE price (                                -- of a segment to numbers with that prefix; customer '*' is everybody
  customer_id VARCHAR(26) NOT NULL,
  prefix      VARCHAR(16) NOT NULL,
  amount      BIGINT      NOT NULL,
  PRIMARY KEY (customer_id, prefix)
);

CREATE TABLE message (
  id           VARCHAR(26)   NOT NULL PRIMARY KEY,
  customer_id  VARCHAR(26)   NOT NULL REFERENCES customer (id),
  sender       VARCHAR(32)   NOT NULL,
  recipient    VARCHAR(64)   NOT NULL,
  params       TEXT          NOT NULL,              -- of message_send, JSON
  client_ref   VARCHAR(200)  NOT NULL DEFAULT '',
  segments     INTEGER       NOT NULL,
  price        BIGINT        NOT NULL,
  refunded     INTEGER       NOT NULL DEFAULT 0,
  state        VARCHAR(16)   NOT NULL,              -- queued, submitted, or one of those in which it ends
  reason       VARCHAR(500)  NOT NULL DEFAULT '',
  gateway_id   VARCHAR(32)   NOT NULL DEFAULT '',
  smsc_ids     VARCHAR(1000) NOT NULL DEFAULT '',
  created      BIGINT        NOT NULL,
  send_at      BIGINT        NOT NULL,
  attempts     INTEGER       NOT NULL DEFAULT 0,
  next_attempt BIGINT        NOT NULL,              -- queued: to hand it to the gateway; submitted: to ask what became of it
  submitted    BIGINT        NOT NULL DEFAULT 0,
  done         BIGINT        NOT NULL DEFAULT 0,
  report_style VARCHAR(16)   NOT NULL DEFAULT '',   -- kannel, jasmin; else the customer's webhook
  report_url   VARCHAR(2000) NOT NULL DEFAULT '',
  report_mask  INTEGER       NOT NULL DEFAULT 0,    -- what a Kannel or Jasmin client wants to hear of
  report_post  INTEGER       NOT NULL DEFAULT 0
);
CREATE INDEX message_due ON message (state, next_attempt);
CREATE INDEX message_of_customer ON message (customer_id, id);

CREATE TABLE incoming (
  id          VARCHAR(32) NOT NULL PRIMARY KEY,     -- the gateway's
  customer_id VARCHAR(26) NOT NULL REFERENCES customer (id),
  sender      VARCHAR(64) NOT NULL,
  recipient   VARCHAR(64) NOT NULL,
  body        TEXT        NOT NULL,
  data        TEXT        NOT NULL,                 -- hexadecimal
  received    BIGINT      NOT NULL
);
CREATE INDEX incoming_of_customer ON incoming (customer_id, id);
CREATE INDEX incoming_by_time ON incoming (received);

CREATE TABLE request (                              -- answers to requests with an Idempotency-Key
  customer_id VARCHAR(26)  NOT NULL,
  request_key VARCHAR(200) NOT NULL,
  fingerprint VARCHAR(64)  NOT NULL,
  answer      TEXT         NOT NULL,
  created     BIGINT       NOT NULL,
  PRIMARY KEY (customer_id, request_key)
);
CREATE INDEX request_by_time ON request (created);

CREATE TABLE hook (                                 -- what is to be told to a customer's server
  id           VARCHAR(26)   NOT NULL PRIMARY KEY,
  customer_id  VARCHAR(26)   NOT NULL REFERENCES customer (id),
  message_id   VARCHAR(32)   NOT NULL,
  event        VARCHAR(16)   NOT NULL,              -- report, sent, buffered, incoming
  style        VARCHAR(16)   NOT NULL DEFAULT '',
  method       VARCHAR(8)    NOT NULL,
  url          VARCHAR(3000) NOT NULL DEFAULT '',   -- none: the customer's webhook
  body         TEXT          NOT NULL,
  state        VARCHAR(8)    NOT NULL,              -- pending, done, dead
  attempts     INTEGER       NOT NULL DEFAULT 0,
  next_attempt BIGINT        NOT NULL,
  last_error   VARCHAR(500)  NOT NULL DEFAULT '',
  created      BIGINT        NOT NULL,
  done         BIGINT        NOT NULL DEFAULT 0,
  UNIQUE (message_id, event)
);
CREATE INDEX hook_due ON hook (state, next_attempt);
CREATE INDEX hook_of_customer ON hook (customer_id, state, id);

CREATE TABLE ledger (                               -- every change of a balance
  id          VARCHAR(26)  NOT NULL PRIMARY KEY,
  customer_id VARCHAR(26)  NOT NULL REFERENCES customer (id),
  message_id  VARCHAR(26)  NOT NULL DEFAULT '',
  amount      BIGINT       NOT NULL,
  reason      VARCHAR(200) NOT NULL,
  created     BIGINT       NOT NULL
);
CREATE INDEX ledger_of_customer ON ledger (customer_id, id);

CREATE TABLE followed (                             -- the last event of the gateway that is done
  subscription VARCHAR(64) NOT NULL PRIMARY KEY,
  seq          BIGINT      NOT NULL
);

-- +goose Down
DROP TABLE followed;
DROP TABLE ledger;
DROP TABLE hook;
DROP TABLE request;
DROP TABLE incoming;
DROP TABLE message;
DROP TABLE price;
DROP TABLE assigned_number;
DROP TABLE sender;
DROP TABLE login;
DROP TABLE api_key;
DROP TABLE customer;
