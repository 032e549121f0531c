-- +goose Up
CREATE TABLE readers (
    id       TEXT    PRIMARY KEY,
    next     INTEGER NOT NULL,
    rest     INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    sent     INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    fault    TEXT    NOT NULL,
    holder   TEXT    NOT NULL,
    until    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE deliveries (
    id       TEXT    PRIMARY KEY,
    reader   TEXT    NOT NULL,
    entry    INTEGER NOT NULL,
    part     INTEGER NOT NULL,
    message  BLOB    NOT NULL,
    state    TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    fault    TEXT    NOT NULL,
    made     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (reader, state, due);
