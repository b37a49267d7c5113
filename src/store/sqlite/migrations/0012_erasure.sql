-- Personal data has an end. What is erased leaves its row behind, so that counts stay as they were.
ALTER TABLE campaigns ADD COLUMN erased_at INTEGER;

-- Whether somebody was told, after the address is gone: a keyed hash of the address. Without the key it says nothing.
CREATE TABLE told_keys (
    campaign INTEGER PRIMARY KEY REFERENCES campaigns (id),
    key      BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
CREATE TABLE told_hashes (
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    hash     BLOB NOT NULL CHECK (length(hash) = 16),
    delivery INTEGER NOT NULL REFERENCES deliveries (id),
    PRIMARY KEY (campaign, hash, delivery)
) STRICT, WITHOUT ROWID;

-- The other side's words may name the person. Their digests stay, and prove with the journal what was erased.
ALTER TABLE attempts ADD COLUMN reply_sha256 BLOB CHECK (reply_sha256 IS NULL OR (length(reply_sha256) = 32 AND reply IS NULL));
ALTER TABLE attempts ADD COLUMN fault_sha256 BLOB CHECK (fault_sha256 IS NULL OR (length(fault_sha256) = 32 AND fault IS NULL));
DROP TRIGGER attempts_are_not_changed;
CREATE TRIGGER attempts_are_not_changed BEFORE UPDATE ON attempts
WHEN NOT (NEW.id = OLD.id AND NEW.delivery = OLD.delivery AND NEW.at = OLD.at AND NEW.outcome = OLD.outcome
          AND NEW.tls IS OLD.tls AND NEW.journal = OLD.journal AND NEW.reply IS NULL AND NEW.fault IS NULL
          AND (NEW.reply_sha256 IS NOT NULL) = (OLD.reply IS NOT NULL OR OLD.reply_sha256 IS NOT NULL)
          AND (NEW.fault_sha256 IS NOT NULL) = (OLD.fault IS NOT NULL OR OLD.fault_sha256 IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
