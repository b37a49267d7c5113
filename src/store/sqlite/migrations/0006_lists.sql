-- Lists of persons. A campaign is `importing` until its list is in; each row of a list is valid, a duplicate or invalid.
ALTER TABLE campaigns ADD COLUMN rows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN valid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaigns ADD COLUMN invalid INTEGER NOT NULL DEFAULT 0 CHECK (rows = valid + duplicates + invalid);
UPDATE campaigns SET (rows, valid) = (SELECT count(*), count(*) FROM persons WHERE persons.campaign = campaigns.id);

-- `rows_done` moves in the transaction that stores the rows: it is where an import that was cut off goes on.
CREATE TABLE lists (
    id          INTEGER PRIMARY KEY,
    campaign    INTEGER NOT NULL REFERENCES campaigns (id),
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 64),  -- of the file and of how it is read
    file        TEXT NOT NULL,                                   -- its name, without folders
    sha256      TEXT NOT NULL CHECK (length(sha256) = 64),
    facts       TEXT NOT NULL,                                   -- JSON: format, encoding, columns and their meanings
    rows_total  INTEGER NOT NULL CHECK (rows_total >= 0),
    rows_done   INTEGER NOT NULL DEFAULT 0 CHECK (rows_done BETWEEN 0 AND rows_total),
    begun_at    INTEGER NOT NULL,
    begun_by    TEXT NOT NULL,
    ended_at    INTEGER
) STRICT;
CREATE INDEX lists_of_campaign ON lists (campaign);
CREATE UNIQUE INDEX lists_not_ended ON lists (campaign) WHERE ended_at IS NULL;

-- Rows that cannot be used: persons who are not reached by mail. `person` where the row gives the controller's number.
-- An id is never used again: exported files name rows by it.
CREATE TABLE bad_rows (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    list     INTEGER NOT NULL REFERENCES lists (id),
    row      INTEGER NOT NULL CHECK (row > 0),
    line     INTEGER,
    "column" TEXT,
    reason   TEXT NOT NULL,
    person   BLOB CHECK (length(person) = 16),
    cells    TEXT NOT NULL,                             -- as the list has them; personal, erased like `persons`
    fields   TEXT NOT NULL
) STRICT;
CREATE INDEX bad_rows_of_campaign ON bad_rows (campaign, reason);
CREATE UNIQUE INDEX bad_rows_of_person ON bad_rows (campaign, person) WHERE person IS NOT NULL;

-- Persons are known by a hash of 16 bytes instead of a text: the index by which duplicates are found has no order, and
-- must stay small to be quick. Rows from before keep a random one: they are one each already.
CREATE TABLE persons_by_hash (
    delivery INTEGER PRIMARY KEY REFERENCES deliveries (id),
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    person   BLOB NOT NULL CHECK (length(person) = 16), -- of the controller's number, or of address and name
    address  TEXT NOT NULL,
    domain   TEXT NOT NULL,                             -- of the address, in A-labels and lower case
    language TEXT NOT NULL,                             -- ISO 639-1; empty where the list does not say
    country  TEXT CHECK (length(country) = 2),
    flags    INTEGER NOT NULL DEFAULT 0,
    fields   TEXT NOT NULL,
    UNIQUE (campaign, person)
) STRICT;
INSERT INTO persons_by_hash (delivery, campaign, person, address, domain, language, fields)
    SELECT delivery, campaign, randomblob(16), address, lower(substr(address, instr(address, '@') + 1)), language, fields
    FROM persons;
DROP TABLE persons;
ALTER TABLE persons_by_hash RENAME TO persons;
