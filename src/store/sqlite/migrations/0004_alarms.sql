-- Alarms: what needs a person, who was told of it, and whether what we depend on can be reached.

-- One row for each thing the house depends on; `since` is when the present finding was first made.
CREATE TABLE health (
    what  TEXT PRIMARY KEY,                             -- relay, mailbox, webhook:3f2a9c01…
    since INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    fault TEXT,                                         -- NULL: it works
    CHECK (at >= since)
) STRICT, WITHOUT ROWID;

-- The one clerk. Taken over when its lease has ended or its process is dead.
CREATE TABLE clerk (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    lease_by    TEXT NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT;

-- One row for each condition, subject and stage, for ever: `key` says them all, so a stage is raised once. `about` is
-- JSON of ids only.
CREATE TABLE alerts (
    id              INTEGER PRIMARY KEY,
    key             TEXT NOT NULL UNIQUE,
    condition       TEXT NOT NULL,
    stage           TEXT NOT NULL,
    about           TEXT NOT NULL,
    due             INTEGER,
    since           INTEGER,
    raised_at       INTEGER NOT NULL,
    reminders       INTEGER NOT NULL DEFAULT 0 CHECK (reminders >= 0),
    reminded_at     INTEGER NOT NULL,                   -- when it was raised, reopened or last repeated
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    note            TEXT,
    resolved_at     INTEGER,
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CHECK (note IS NULL OR acknowledged_at IS NOT NULL)
) STRICT;
CREATE INDEX alerts_open ON alerts (id) WHERE resolved_at IS NULL;

-- Each telling of an alert through one channel: round 0 when it was raised, 1 and more when it was repeated.
CREATE TABLE alert_tellings (
    id          INTEGER PRIMARY KEY,
    alert       INTEGER NOT NULL REFERENCES alerts (id),
    channel     TEXT NOT NULL,                          -- email:3f2a9c01, webhook:77b0e5d2
    round       INTEGER NOT NULL CHECK (round >= 0),
    state       TEXT NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    due         INTEGER,
    lease_by    TEXT,
    lease_until INTEGER,
    at          INTEGER,                                -- when a final state began
    fault       TEXT,                                   -- of the last try that failed
    UNIQUE (alert, channel, round),
    CHECK (state IN ('due', 'leased', 'sent', 'failed', 'dropped')),
    CHECK ((due IS NOT NULL) = (state = 'due')),
    CHECK ((lease_by IS NOT NULL) = (state = 'leased') AND (lease_until IS NOT NULL) = (state = 'leased')),
    CHECK ((at IS NOT NULL) = (state IN ('sent', 'failed', 'dropped'))),
    CHECK (state <> 'failed' OR fault IS NOT NULL)
) STRICT;
CREATE INDEX alert_tellings_due ON alert_tellings (due) WHERE state = 'due';
CREATE INDEX alert_tellings_leased ON alert_tellings (id) WHERE state = 'leased';
