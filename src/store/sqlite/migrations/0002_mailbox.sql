-- How far each folder of a mailbox on a server has been read. A mail that is stored twice after a crash is harmless, so
-- the mark may lag behind what is stored, never the other way round.
CREATE TABLE mailbox_marks (
    account      TEXT NOT NULL,
    folder       TEXT NOT NULL,
    -- RFC 3501 2.3.1.1: another number means that every UID means another mail.
    uid_validity INTEGER NOT NULL CHECK (uid_validity BETWEEN 0 AND 4294967295),
    last_uid     INTEGER NOT NULL CHECK (last_uid BETWEEN 0 AND 4294967295),
    moved_at     INTEGER NOT NULL,
    PRIMARY KEY (account, folder)
) STRICT, WITHOUT ROWID;
