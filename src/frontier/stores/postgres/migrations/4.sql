-- Version 4: failovers of the database are told, and parts are given away with what is known of them.
CREATE FUNCTION timeline() RETURNS text LANGUAGE sql VOLATILE
    AS 'SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)';
ALTER TABLE crawl ADD timeline text NOT NULL DEFAULT timeline();
ALTER TABLE node
    ADD timeline text NOT NULL DEFAULT timeline(),
    ADD unfit boolean NOT NULL DEFAULT false,
    ADD ends bigint NOT NULL DEFAULT 0;

-- Empty: nobody has said when the domains were asked, so they count as asked when their part is taken.
CREATE TABLE rested (
    part smallint NOT NULL,
    domain text COLLATE "C" NOT NULL,
    ages text NOT NULL,
    PRIMARY KEY (part, domain)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
