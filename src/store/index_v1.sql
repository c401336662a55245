-- Key metadata, ordered by key ID so that a prefix is a range. `walk` is the generation of the listing that saw the row last.
CREATE TABLE keys (
    id       BLOB PRIMARY KEY,
    device   BLOB NOT NULL,
    escrowed INTEGER NOT NULL,
    volume   INTEGER NOT NULL,
    walk     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_device ON keys (device);

CREATE TABLE devices (
    id     BLOB PRIMARY KEY,
    name   TEXT NOT NULL,
    folded TEXT NOT NULL,
    join_  INTEGER NOT NULL,
    walk   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_name ON devices (folded);

-- The walk under way or just done: one row a list ('keys', 'devices').
CREATE TABLE walks (
    list     TEXT PRIMARY KEY,
    walk     INTEGER NOT NULL,
    began    TEXT NOT NULL,
    next     TEXT,
    complete INTEGER NOT NULL,
    -- When the last complete walk began.
    whole_since TEXT
) STRICT;
