-- When the index was last used: one that nobody uses any more is wiped.
CREATE TABLE use_ (id INTEGER PRIMARY KEY CHECK (id = 1), at TEXT NOT NULL) STRICT;
