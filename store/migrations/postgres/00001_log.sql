-- +goose Up
CREATE TABLE entries (
    idx     BIGINT PRIMARY KEY,
    payload BYTEA NOT NULL,
    sig     BYTEA NOT NULL
);

CREATE TABLE facts (
    key TEXT COLLATE "C" NOT NULL,
    idx BIGINT           NOT NULL,
    PRIMARY KEY (key, idx)
);

CREATE TABLE tiles (
    level BIGINT NOT NULL,
    num   BIGINT NOT NULL,
    data  BYTEA  NOT NULL,
    PRIMARY KEY (level, num)
);

CREATE TABLE head (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL,
    root BYTEA  NOT NULL,
    note BYTEA  NOT NULL
);

CREATE TABLE checkpoints (
    size BIGINT PRIMARY KEY,
    note BYTEA NOT NULL
);
