-- What came back, tied to what was sent: reports about deliveries, the mails of a notice, and questions that wait.

-- Which notice a mail belongs to, and the decision that took it out of the tray: JSON of who, when, how and why.
ALTER TABLE mails ADD COLUMN notice INTEGER REFERENCES notices (id);
ALTER TABLE mails ADD COLUMN settled TEXT;
UPDATE mails SET notice = (SELECT n.id FROM notices n WHERE n.reference = json_extract(mails.understanding, '$.notice'))
WHERE understanding IS NOT NULL;
CREATE INDEX mails_of_notice ON mails (notice) WHERE notice IS NOT NULL;

-- The mail that a notice of kind answer replies to.
ALTER TABLE notices ADD COLUMN answers INTEGER REFERENCES mails (id);

-- What was reported of a delivery after it had left (RFC 3464), beside its attempts. The diagnostic text may name
-- the recipient: it is erased with the person.
CREATE TABLE delivery_reports (
    id         INTEGER PRIMARY KEY,
    delivery   INTEGER NOT NULL REFERENCES deliveries (id),
    mail       INTEGER NOT NULL REFERENCES mails (id),
    at         INTEGER NOT NULL,
    action     TEXT NOT NULL CHECK (action IN ('failed', 'delayed', 'delivered', 'relayed', 'expanded')),
    status     TEXT,
    diagnostic TEXT,
    UNIQUE (delivery, mail, action)
) STRICT;

-- A question of an authority, known by the mail it came in.
CREATE TABLE inquiries (
    mail        INTEGER PRIMARY KEY REFERENCES mails (id),
    notice      INTEGER NOT NULL REFERENCES notices (id),
    received_at INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    is_order    INTEGER NOT NULL DEFAULT 0 CHECK (is_order IN (0, 1)),
    answer      INTEGER REFERENCES notices (id),        -- the notice that answered it
    closed      TEXT,                                   -- JSON: when, by whom, and how
    CHECK (answer IS NULL OR closed IS NOT NULL)
) STRICT;
CREATE INDEX inquiries_open ON inquiries (due) WHERE closed IS NULL;
CREATE INDEX inquiries_of_notice ON inquiries (notice);
CREATE INDEX inquiries_by_answer ON inquiries (answer) WHERE answer IS NOT NULL;
