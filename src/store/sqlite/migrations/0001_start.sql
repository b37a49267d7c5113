-- The first schema. Times are microseconds since 1970-01-01 UTC; an id such as dlv_17 is kept as the number 17;
-- JSON is text. CHECK constraints repeat the rules of `model`, so that no other hand can store what the model forbids.

-- The register (GDPR Art. 33(5)). Each version of a record is kept; `version` names the current one.
CREATE TABLE breaches (
    id         TEXT PRIMARY KEY,                        -- B-2026-001
    year       INTEGER NOT NULL,
    number     INTEGER NOT NULL CHECK (number > 0),
    version    INTEGER NOT NULL CHECK (version > 0),
    opened_at  INTEGER NOT NULL,
    opened_by  TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (year, number)
) STRICT;

CREATE TABLE breach_versions (
    breach  TEXT NOT NULL REFERENCES breaches (id),
    version INTEGER NOT NULL CHECK (version > 0),
    record  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    by      TEXT NOT NULL,
    PRIMARY KEY (breach, version)
) STRICT;

CREATE TABLE breach_log (
    id     INTEGER PRIMARY KEY,
    breach TEXT NOT NULL REFERENCES breaches (id),
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    text   TEXT NOT NULL,
    by     TEXT NOT NULL
) STRICT;
CREATE INDEX breach_log_of_breach ON breach_log (breach, at);

-- Mail as it came in. The bytes lie in a table of their own, so that lists do not read them.
CREATE TABLE mails (
    id            INTEGER PRIMARY KEY,
    received_at   INTEGER NOT NULL,
    source        TEXT NOT NULL,
    sha256        TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
    understanding TEXT,
    in_tray       INTEGER NOT NULL DEFAULT 0 CHECK (in_tray IN (0, 1)),
    CHECK (in_tray = 0 OR understanding IS NOT NULL)
) STRICT;
CREATE INDEX mails_unread ON mails (id) WHERE understanding IS NULL;
CREATE INDEX mails_in_tray ON mails (id) WHERE in_tray = 1;

CREATE TABLE mail_bytes (
    mail INTEGER PRIMARY KEY REFERENCES mails (id),
    raw  BLOB NOT NULL
) STRICT;

-- Where a mail was seen. The same bytes may lie at several positions of a mailbox.
CREATE TABLE mail_positions (
    source TEXT PRIMARY KEY,
    mail   INTEGER NOT NULL REFERENCES mails (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
    id                INTEGER PRIMARY KEY,
    reference         TEXT NOT NULL UNIQUE,             -- BP-7K3M-Q2XR
    breach            TEXT NOT NULL REFERENCES breaches (id),
    authority         TEXT NOT NULL,
    sequence          INTEGER NOT NULL CHECK (sequence > 0),
    kind              TEXT NOT NULL
        CHECK (kind IN ('preliminary', 'supplementary', 'complete', 'amendment', 'withdrawal', 'answer')),
    channel           TEXT NOT NULL CHECK (channel IN ('email', 'portal', 'webform', 'phone', 'post', 'hand')),
    language          TEXT NOT NULL,
    prior             INTEGER REFERENCES notices (id),
    message_id        TEXT,
    protection        TEXT,
    content_sha256    TEXT,
    filed_at          INTEGER NOT NULL,
    filed_by          TEXT NOT NULL,
    outside_reference TEXT,
    decision          TEXT,
    withdrawn_at      INTEGER,
    draft_reason      TEXT,
    ack_at            INTEGER,
    ack_proof         TEXT,
    ack_reference     TEXT,
    ack_mail          INTEGER REFERENCES mails (id),
    UNIQUE (breach, authority, sequence),
    CHECK ((ack_at IS NULL) = (ack_proof IS NULL)),
    CHECK (ack_at IS NOT NULL OR (ack_reference IS NULL AND ack_mail IS NULL)),
    CHECK (draft_reason IS NULL OR (ack_at IS NULL AND message_id IS NULL))
) STRICT;
CREATE UNIQUE INDEX notices_by_message_id ON notices (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE notice_contents (
    notice     INTEGER PRIMARY KEY REFERENCES notices (id),
    content    BLOB NOT NULL,
    passphrase TEXT                                     -- what opens it, where it was sealed with a passphrase
) STRICT;

-- Proofs that a person gave.
CREATE TABLE files (
    id       INTEGER PRIMARY KEY,
    notice   INTEGER NOT NULL REFERENCES notices (id),
    name     TEXT NOT NULL,
    sha256   TEXT NOT NULL CHECK (length(sha256) = 64),
    content  BLOB NOT NULL,
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    UNIQUE (notice, sha256)
) STRICT;

CREATE TABLE campaigns (
    id         INTEGER PRIMARY KEY,
    breach     TEXT NOT NULL REFERENCES breaches (id),
    state      TEXT NOT NULL CHECK (state IN ('importing', 'draft', 'approved', 'scheduled', 'running', 'paused',
                                              'settling', 'finished', 'cancelled')),
    content    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    CHECK (state NOT IN ('running', 'paused', 'settling', 'finished') OR started_at IS NOT NULL)
) STRICT;

-- Outbox and ledger: one row per message to one recipient. A campaign has millions of them and each is rewritten about
-- three times, so the row is kept small: what is sent lies in `sealed`, whom it goes to in `persons`.
CREATE TABLE deliveries (
    id             INTEGER PRIMARY KEY,
    notice         INTEGER REFERENCES notices (id),
    campaign       INTEGER REFERENCES campaigns (id),
    state          TEXT NOT NULL,
    due            INTEGER,                             -- ready: not before; in doubt: next try
    lease_by       TEXT,
    lease_until    INTEGER,
    since          INTEGER,                             -- when an on_wire, in_doubt or final state began
    detail         TEXT,                                -- JSON: reply, proof, fault, reason or actor, as the state says
    tries          INTEGER NOT NULL DEFAULT 0,
    possibly_twice INTEGER NOT NULL DEFAULT 0 CHECK (possibly_twice IN (0, 1)),
    message_id     TEXT,
    CHECK ((notice IS NULL) <> (campaign IS NULL)),
    CHECK (CASE state
        WHEN 'ready'    THEN due IS NOT NULL AND since IS NULL AND detail IS NULL
        WHEN 'leased'   THEN due IS NULL AND since IS NULL AND detail IS NULL
        WHEN 'on_wire'  THEN due IS NULL AND since IS NOT NULL AND detail IS NULL
        WHEN 'in_doubt' THEN since IS NOT NULL AND detail IS NULL AND possibly_twice = 1
        WHEN 'held'     THEN due IS NULL AND since IS NULL AND detail IS NOT NULL
        ELSE state IN ('handed', 'confirmed', 'failed', 'cancelled')
             AND due IS NULL AND since IS NOT NULL AND detail IS NOT NULL
        END),
    CHECK ((lease_by IS NOT NULL) = (state IN ('leased', 'on_wire'))),
    CHECK ((lease_until IS NOT NULL) = (state = 'leased'))
) STRICT;
-- One partial index for each state that is searched, its WHERE equal to the query's term: SQLite does not prove that
-- state = 'ready' implies state IN ('ready', 'in_doubt'), and scans the table instead (measured: 39 times slower).
CREATE INDEX deliveries_ready ON deliveries (campaign, due) WHERE state = 'ready';
CREATE INDEX deliveries_in_doubt ON deliveries (campaign, due) WHERE state = 'in_doubt';
CREATE INDEX deliveries_leased ON deliveries (lease_by, state, lease_until) WHERE lease_by IS NOT NULL;
CREATE INDEX deliveries_counted ON deliveries (campaign, state, possibly_twice) WHERE campaign IS NOT NULL;
CREATE UNIQUE INDEX deliveries_of_notice ON deliveries (notice) WHERE notice IS NOT NULL;

-- A notice's mail, sealed when it was filed.
CREATE TABLE sealed (
    delivery      INTEGER PRIMARY KEY REFERENCES deliveries (id),
    envelope_from TEXT NOT NULL,
    recipient     TEXT NOT NULL,
    mail          BLOB NOT NULL
) STRICT;

-- The person behind a campaign's delivery: all that is personal, in rows that can be erased without touching the ledger.
CREATE TABLE persons (
    delivery INTEGER PRIMARY KEY REFERENCES deliveries (id),
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    person   TEXT NOT NULL,                             -- what makes this person one: two may share an address
    address  TEXT NOT NULL,
    language TEXT NOT NULL,
    fields   TEXT NOT NULL,
    UNIQUE (campaign, person)
) STRICT;

-- How a connection to the relay was protected; the same few for millions of attempts.
CREATE TABLE tls_facts (
    id    INTEGER PRIMARY KEY,
    facts TEXT NOT NULL UNIQUE
) STRICT;

-- The history of each delivery. `journal` is the entry whose hash covers the row; it never falls as `id` rises.
CREATE TABLE attempts (
    id       INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES deliveries (id),
    at       INTEGER NOT NULL,
    outcome  TEXT NOT NULL CHECK (outcome IN ('accepted', 'deferred', 'refused', 'in_doubt', 'held', 'recovered')),
    reply    TEXT,
    fault    TEXT,
    tls      INTEGER REFERENCES tls_facts (id),
    journal  INTEGER NOT NULL CHECK (journal > 0)
) STRICT;
CREATE INDEX attempts_of_delivery ON attempts (delivery);
CREATE TRIGGER attempts_are_not_changed BEFORE UPDATE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER attempts_are_not_removed BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;

CREATE TABLE pins (
    id          INTEGER PRIMARY KEY,
    authority   TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    certificate BLOB NOT NULL,
    verified    TEXT NOT NULL,
    imported_by TEXT NOT NULL,
    imported_at INTEGER NOT NULL,
    accepted_user_id TEXT,                              -- why a certificate without the address was accepted
    current     INTEGER NOT NULL CHECK (current IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX pins_current ON pins (authority) WHERE current = 1;

-- The chain. `details` is canonical JSON: the bytes that are hashed.
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    event    TEXT NOT NULL,
    details  TEXT NOT NULL,
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TRIGGER journal_is_not_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_not_removed BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- Signed length and head. `at` is RFC 3339 text, exactly as signed.
CREATE TABLE checkpoints (
    id        INTEGER PRIMARY KEY,
    length    INTEGER NOT NULL CHECK (length >= 0),
    head      TEXT NOT NULL CHECK (length(head) = 64),
    at        TEXT NOT NULL,
    signer    TEXT NOT NULL,
    signature TEXT NOT NULL
) STRICT;
