-- What is leased is found by its worker alone: with state and end in the index, each mark on the wire moved an entry.
DROP INDEX deliveries_leased;
CREATE INDEX deliveries_leased ON deliveries (lease_by) WHERE lease_by IS NOT NULL;
