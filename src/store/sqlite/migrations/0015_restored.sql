-- More by which a copy is known. `born`: when the file was made, for a new one may get the inode of the one before;
-- `marked`: a mark lies beside the store, and one that is missing or has seen more means that this is a copy.
ALTER TABLE identity ADD COLUMN born INTEGER;
ALTER TABLE identity ADD COLUMN marked INTEGER NOT NULL DEFAULT 0 CHECK (marked IN (0, 1));
-- Of a campaign that stood in a copy ready to be sent: the original may have told its persons.
ALTER TABLE campaigns ADD COLUMN copied INTEGER NOT NULL DEFAULT 0 CHECK (copied IN (0, 1));
