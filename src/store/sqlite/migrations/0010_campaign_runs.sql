-- The life of a campaign. `approved_hash` stays when it runs: what is sent must have this digest still.
ALTER TABLE campaigns ADD COLUMN approved_hash TEXT CHECK (length(approved_hash) = 64);
ALTER TABLE campaigns ADD COLUMN approved_by TEXT;      -- JSON: who agreed to it
ALTER TABLE campaigns ADD COLUMN scheduled_at INTEGER CHECK (state <> 'scheduled' OR scheduled_at IS NOT NULL);
ALTER TABLE campaigns ADD COLUMN settle_until INTEGER CHECK (state <> 'settling' OR settle_until IS NOT NULL);
ALTER TABLE campaigns ADD COLUMN started_by TEXT;
ALTER TABLE campaigns ADD COLUMN ended_at INTEGER;      -- finished or cancelled
ALTER TABLE campaigns ADD COLUMN follows INTEGER REFERENCES campaigns (id);

-- What a person has seen to before such a mail is credible.
CREATE TABLE campaign_checklist (
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    name     TEXT NOT NULL,
    note     TEXT,
    by       TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (campaign, name)
) STRICT, WITHOUT ROWID;

-- Persons who were told by another channel after all. No personal data: a row of the ledger, or a row that had no usable
-- address.
CREATE TABLE told_otherwise (
    id       INTEGER PRIMARY KEY,
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    delivery INTEGER UNIQUE REFERENCES deliveries (id),
    bad_row  INTEGER UNIQUE REFERENCES bad_rows (id),
    channel  TEXT NOT NULL CHECK (channel IN ('post', 'phone')),
    by       TEXT NOT NULL,
    at       INTEGER NOT NULL,
    CHECK ((delivery IS NULL) <> (bad_row IS NULL))
) STRICT;
CREATE INDEX told_otherwise_of_campaign ON told_otherwise (campaign);
