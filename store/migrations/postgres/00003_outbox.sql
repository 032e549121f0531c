-- +goose Up
CREATE TABLE readers (
    id       TEXT COLLATE "C" PRIMARY KEY,
    next     BIGINT  NOT NULL,
    rest     BIGINT  NOT NULL,
    failures BIGINT  NOT NULL,
    sent     BIGINT  NOT NULL,
    last     BIGINT  NOT NULL,
    fault    TEXT    NOT NULL,
    holder   TEXT    NOT NULL,
    until    BIGINT  NOT NULL
);

CREATE TABLE deliveries (
    id       TEXT COLLATE "C" PRIMARY KEY,
    reader   TEXT    NOT NULL,
    entry    BIGINT  NOT NULL,
    part     BIGINT  NOT NULL,
    message  BYTEA   NOT NULL,
    state    TEXT    NOT NULL,
    attempts BIGINT  NOT NULL,
    due      BIGINT  NOT NULL,
    fault    TEXT    NOT NULL,
    made     BIGINT  NOT NULL
);

CREATE INDEX deliveries_due ON deliveries (reader, state, due);
