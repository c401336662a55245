-- The ledger: what is hashed are the bytes of `body`, and each body names the hash before it.
CREATE TABLE ledger (
    seq  INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    hash TEXT NOT NULL
) STRICT;

CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Projections of it. All can be rebuilt from the rows above.
CREATE TABLE calls (
    id           TEXT PRIMARY KEY,
    number       INTEGER NOT NULL UNIQUE,
    instance     TEXT NOT NULL,
    state        TEXT NOT NULL,
    opened       TEXT NOT NULL,
    key          TEXT NOT NULL,
    volume       TEXT NOT NULL,
    device       TEXT NOT NULL,
    device_name  TEXT NOT NULL,
    heard        INTEGER NOT NULL,
    verification TEXT,
    ticket       TEXT,
    reason       TEXT,
    disclosed    TEXT,
    -- The digits were certainly handed out.
    read         INTEGER NOT NULL DEFAULT 0,
    in_windows   TEXT,
    closed       TEXT
) STRICT;

CREATE TABLE debts (
    id          TEXT PRIMARY KEY,
    key         TEXT NOT NULL,
    volume      TEXT NOT NULL,
    device      TEXT NOT NULL,
    device_name TEXT NOT NULL,
    call        TEXT NOT NULL,
    ticket      TEXT NOT NULL,
    since       TEXT NOT NULL,
    -- The tenant it is owed in.
    tenant      TEXT,
    state       TEXT NOT NULL,
    open        INTEGER NOT NULL,
    -- Owed whatever becomes of its disclosures: somebody asked for the replacement itself.
    requested   INTEGER NOT NULL,
    known       TEXT NOT NULL,
    entra_time  TEXT,
    rotation    TEXT
) STRICT;
CREATE INDEX debts_by_rotation ON debts (rotation);
CREATE INDEX debts_by_key ON debts (key);

CREATE TABLE rotations (
    id         TEXT PRIMARY KEY,
    device     TEXT NOT NULL,
    tenant     TEXT,
    state      TEXT NOT NULL,
    open       INTEGER NOT NULL,
    target     TEXT,
    managed    TEXT,
    checked_in TEXT,
    earlier    TEXT
) STRICT;

CREATE TABLE disclosures (
    id         TEXT PRIMARY KEY,
    call       TEXT NOT NULL,
    debt       TEXT NOT NULL,
    key        TEXT NOT NULL,
    device     TEXT NOT NULL,
    device_name TEXT NOT NULL,
    ticket     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    technician TEXT,
    instance   TEXT NOT NULL,
    at         TEXT NOT NULL,
    -- intended, served, refused, unknown
    state      TEXT NOT NULL
) STRICT;
CREATE INDEX disclosures_by_device ON disclosures (device, at);
CREATE INDEX disclosures_by_ticket ON disclosures (ticket);
CREATE INDEX disclosures_by_state ON disclosures (state);
