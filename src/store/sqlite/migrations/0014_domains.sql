-- The index by domain has no order that the ledger walks: each claim and each import changed as many of its pages as it
-- took rows. It is made when a claim goes by domain, and goes when a campaign has nothing left to claim.
DROP INDEX IF EXISTS deliveries_ready_by_domain;
