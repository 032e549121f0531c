-- +goose Up
CREATE TABLE asides (
    space   TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    owner   TEXT    NOT NULL,
    value   BLOB    NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (space, id)
) WITHOUT ROWID;

CREATE INDEX asides_owner ON asides (space, owner);

CREATE INDEX asides_expires ON asides (expires);
