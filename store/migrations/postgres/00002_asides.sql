-- +goose Up
CREATE TABLE asides (
    space   TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    owner   TEXT COLLATE "C" NOT NULL,
    value   BYTEA  NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (space, id)
);

CREATE INDEX asides_owner ON asides (space, owner);

CREATE INDEX asides_expires ON asides (expires);
