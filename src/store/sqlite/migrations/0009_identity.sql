-- Which file this store is: a copy or a restored backup has another inode, and its campaigns must not simply go on.
CREATE TABLE identity (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    inode    INTEGER NOT NULL,
    since    INTEGER NOT NULL
) STRICT;
-- Why a campaign is paused, for a person.
ALTER TABLE campaigns ADD COLUMN paused_why TEXT CHECK (paused_why IS NULL OR state = 'paused');
