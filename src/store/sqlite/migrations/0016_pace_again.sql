-- Which domain a message tried: asked at the end of every message.
CREATE INDEX slow_domains_probe ON slow_domains (probe) WHERE probe IS NOT NULL;
