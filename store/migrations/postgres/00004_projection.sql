-- +goose Up
CREATE TABLE projection (
    id      INTEGER PRIMARY KEY,
    version INTEGER NOT NULL
);
