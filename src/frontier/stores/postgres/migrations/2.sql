-- Version 2: nodes have random numbers, and each tells its own term.
ALTER TABLE crawl ADD owners bigint NOT NULL DEFAULT 0;
ALTER TABLE node ALTER session DROP IDENTITY;
-- All nodes had this one.
ALTER TABLE node ADD term bigint NOT NULL DEFAULT 10000;
ALTER TABLE node ALTER term DROP DEFAULT;
