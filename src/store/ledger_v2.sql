-- The projections are remade on every step of the schema: dropped here, made as of now, filled from the rows.
DROP TABLE calls;
DROP TABLE debts;
DROP TABLE rotations;
DROP TABLE disclosures;

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
    -- Who verified the caller last.
    verified_by  TEXT,
    -- When the caller was refused, and by whom (user principal name).
    refused      TEXT,
    refused_by   TEXT,
    ticket       TEXT,
    reason       TEXT,
    disclosed    TEXT,
    -- The digits were certainly handed out.
    read         INTEGER NOT NULL DEFAULT 0,
    in_windows   TEXT,
    closed       TEXT
) STRICT;
CREATE INDEX calls_by_device ON calls (device);

-- Callers who were refused in the ledger before this one, which was set aside.
CREATE TABLE carried_refusals (
    call       TEXT PRIMARY KEY,
    device     TEXT NOT NULL,
    refused    TEXT NOT NULL,
    refused_by TEXT
) STRICT;
CREATE INDEX carried_refusals_by_device ON carried_refusals (device);

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
    -- When the key was read to the wrong person.
    compromised TEXT,
    -- When Entra logged that the key was deleted.
    key_deleted TEXT,
    -- Where the key was read, if not from Entra.
    source      TEXT,
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
    -- The target was chosen by a person.
    chosen     INTEGER NOT NULL DEFAULT 0,
    checked_in TEXT,
    earlier    TEXT,
    -- Since when a request may be on its way whose outcome nobody has learned; kept when the rotation is over.
    sending    TEXT,
    -- The failure that passes by itself, and how often in a row.
    busy       TEXT
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
    -- intended, served, refused, unknown; external: read elsewhere
    state      TEXT NOT NULL
) STRICT;
CREATE INDEX disclosures_by_device ON disclosures (device);
CREATE INDEX disclosures_by_technician ON disclosures (technician);
CREATE INDEX disclosures_by_debt ON disclosures (debt);
CREATE INDEX disclosures_by_ticket ON disclosures (ticket);
CREATE INDEX disclosures_by_state ON disclosures (state);

-- Entra's own records of our reads, as reconciliation found them.
CREATE TABLE entra_records (
    audit      TEXT PRIMARY KEY,
    disclosure TEXT NOT NULL,
    at         TEXT NOT NULL
) STRICT;
CREATE INDEX entra_records_by_disclosure ON entra_records (disclosure);

-- Which policies were in force: their lines stand in the row that names the digest first.
CREATE TABLE policies (digest TEXT PRIMARY KEY) STRICT;

-- Who sat at this desk: one row a person and tenant. `turn` and `there_turn` count up, so that the greatest is the last.
CREATE TABLE seats (
    tenant     TEXT NOT NULL,
    technician TEXT NOT NULL,
    -- As Entra named them when they last signed in or out here; null before.
    person     TEXT,
    signed_out INTEGER,
    turn       INTEGER,
    -- When they last proved to be at the desk.
    there      TEXT,
    there_turn INTEGER,
    PRIMARY KEY (tenant, technician)
) STRICT;

-- Not folded from the ledger, and never emptied with the projections: what processes agree on, and how far the rows have travelled.

-- Held by one process at a time; void when its instance is dead or `until` has passed. "watch" is held by whoever follows what is owed,
-- "watch-next" by whoever would take over; "watch-task" and "watch-task-failed" stand for a day after a run of `keydesk debts watch`.
CREATE TABLE leases (
    name     TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    -- "desk" or "watcher", and its process on this machine.
    role     TEXT NOT NULL,
    process  INTEGER NOT NULL,
    until    TEXT NOT NULL
) STRICT;

-- When each open rotation was looked at last, and the pause until it is looked at again, in milliseconds, before jitter.
CREATE TABLE looks (
    rotation TEXT PRIMARY KEY,
    last     TEXT NOT NULL,
    pause    INTEGER NOT NULL,
    -- How many looks there were: the jitter of the next pause follows from it.
    count    INTEGER NOT NULL,
    failed   INTEGER NOT NULL
) STRICT;

-- The last row each sink has taken: the ledger itself is the outbox, in order. One process at a time sends to a sink; its turn is void when
-- its instance is dead or `until` has passed.
CREATE TABLE forwarded (
    sink     TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL,
    at       TEXT,
    failures INTEGER NOT NULL,
    error    TEXT,
    instance TEXT,
    until    TEXT
) STRICT;
