-- The delivery that a mail belongs to: what came back of a campaign is found and counted by it.
ALTER TABLE mails ADD COLUMN delivery INTEGER REFERENCES deliveries (id);
UPDATE mails SET delivery = CAST(substr(json_extract(understanding, '$.delivery'), 5) AS INTEGER)
WHERE json_extract(understanding, '$.delivery') IS NOT NULL;
CREATE INDEX mails_of_delivery ON mails (delivery) WHERE delivery IS NOT NULL;
