-- Each message moved through three places of the index that counts a campaign's deliveries. What is ready, in doubt or under
-- way has an index of its own; left to count are cancelled, confirmed, failed, handed and held, which the alphabet keeps
-- together (a list of words would have to stand in each query as it stands here). Who may have been told twice is hardly ever
-- more than a few.
DROP INDEX deliveries_counted;
CREATE INDEX deliveries_settled ON deliveries (campaign, state) WHERE state < 'i';
CREATE INDEX deliveries_twice ON deliveries (campaign) WHERE possibly_twice = 1;
