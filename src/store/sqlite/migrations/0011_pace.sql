-- The pace, kept where every process sees it and a restart finds it.

-- Of the recipient's address. Here and not only with the person: a claim by domain walks one index.
ALTER TABLE deliveries ADD COLUMN domain TEXT;
UPDATE deliveries SET domain = (SELECT domain FROM persons WHERE persons.delivery = deliveries.id)
    WHERE campaign IS NOT NULL;
CREATE INDEX deliveries_ready_by_domain ON deliveries (campaign, domain, due) WHERE state = 'ready' AND domain IS NOT NULL;
-- Where the last claim by domain ended: the next one goes on behind it, so that each domain has its turn.
ALTER TABLE campaigns ADD COLUMN domain_cursor TEXT NOT NULL DEFAULT '';
-- Outcomes up to this attempt do not count for the error budget any more: a person has looked at them.
ALTER TABLE campaigns ADD COLUMN budget_after INTEGER NOT NULL DEFAULT 0;

-- When the next message may leave: to anybody (the empty domain), or to this domain.
CREATE TABLE pace_next (
    domain TEXT PRIMARY KEY,
    next   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pace_next_past ON pace_next (next);

-- How many left, by slots of ten minutes, for the limit of a day.
CREATE TABLE pace_sent (
    slot INTEGER PRIMARY KEY,
    sent INTEGER NOT NULL CHECK (sent > 0)
) STRICT;

-- Domains that put us off. Until `until` nothing goes there; then one message tries (`probe`), and decides.
CREATE TABLE slow_domains (
    domain TEXT PRIMARY KEY,
    wait   INTEGER NOT NULL CHECK (wait > 0),           -- microseconds; doubles with each probe that is put off
    until  INTEGER NOT NULL,
    probe  INTEGER REFERENCES deliveries (id)
) STRICT, WITHOUT ROWID;
