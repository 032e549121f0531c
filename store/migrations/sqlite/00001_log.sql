-- +goose Up
CREATE TABLE entries (
    idx     INTEGER PRIMARY KEY,
    payload BLOB NOT NULL,
    sig     BLOB NOT NULL
);

CREATE TABLE facts (
    key TEXT    NOT NULL,
    idx INTEGER NOT NULL,
    PRIMARY KEY (key, idx)
) WITHOUT ROWID;

CREATE TABLE tiles (
    level INTEGER NOT NULL,
    num   INTEGER NOT NULL,
    data  BLOB    NOT NULL,
    PRIMARY KEY (level, num)
);

CREATE TABLE head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    root BLOB    NOT NULL,
    note BLOB    NOT NULL
);

CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    note BLOB NOT NULL
);
