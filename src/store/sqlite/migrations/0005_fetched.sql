-- Certificates fetched from the web. None is used before a person, or the profile's rule, makes it the pin.
CREATE TABLE proposals (
    id          INTEGER PRIMARY KEY,
    authority   TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    certificate BLOB NOT NULL,
    sha256      TEXT NOT NULL CHECK (length(sha256) = 64),
    source      TEXT NOT NULL,
    fetched_at  INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'automatic', 'replaced')),
    decided_by  TEXT,
    decided_at  INTEGER,
    reason      TEXT,
    UNIQUE (authority, sha256),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CHECK ((state IN ('approved', 'refused', 'automatic')) = (decided_by IS NOT NULL)),
    CHECK (reason IS NULL OR state = 'refused')
) STRICT;
CREATE UNIQUE INDEX proposals_waiting ON proposals (authority) WHERE state = 'waiting';

-- When each authority's certificate was last looked for, and when to look again.
CREATE TABLE looks (
    authority TEXT PRIMARY KEY,
    next      INTEGER NOT NULL,
    at        INTEGER,
    result    TEXT,
    CHECK ((at IS NULL) = (result IS NULL))
) STRICT;
