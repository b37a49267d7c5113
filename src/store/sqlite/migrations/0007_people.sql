-- Persons with a token of their own. The token has 256 random bits, so its plain digest is all that is kept.
CREATE TABLE users (
    name         TEXT PRIMARY KEY,
    token_sha256 TEXT NOT NULL UNIQUE CHECK (length(token_sha256) = 64),
    added_at     INTEGER NOT NULL,
    added_by     TEXT NOT NULL,
    disabled_at  INTEGER
) STRICT, WITHOUT ROWID;

-- Who agreed to what. An approval is bound to the digest of the content: what is edited afterwards needs a new one.
CREATE TABLE approvals (
    id             INTEGER PRIMARY KEY,
    subject        TEXT NOT NULL,                       -- a notice's reference or a campaign's id
    content_sha256 TEXT NOT NULL CHECK (length(content_sha256) = 64),
    by             TEXT NOT NULL,
    at             INTEGER NOT NULL,
    UNIQUE (subject, content_sha256, by)
) STRICT;
CREATE TRIGGER approvals_are_not_changed BEFORE UPDATE ON approvals
BEGIN SELECT RAISE(ABORT, 'approvals are append-only'); END;
CREATE TRIGGER approvals_are_not_removed BEFORE DELETE ON approvals
BEGIN SELECT RAISE(ABORT, 'approvals are append-only'); END;
