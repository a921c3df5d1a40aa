-- Version 3: each part has an owner of its own; before it, one node had all.
ALTER TABLE crawl DROP CONSTRAINT crawl_state_check;
UPDATE crawl SET state = CASE state WHEN 'finished' THEN 'ended' WHEN 'stopped' THEN 'running' ELSE state END;
ALTER TABLE crawl
    ADD CHECK (state IN ('new', 'running', 'ended')),
    ADD ends bigint NOT NULL DEFAULT 0,
    ADD stops bigint NOT NULL DEFAULT 0,
    ADD paused boolean NOT NULL DEFAULT false,
    ADD nodes bigint NOT NULL DEFAULT 0,
    ADD pages bigint NOT NULL DEFAULT 0,
    ADD requests bigint NOT NULL DEFAULT 0;
-- What was used of the limits is in the counters. These outcomes are none of a request.
UPDATE crawl SET ends = (state = 'ended')::integer, nodes = owners,
    pages = coalesce((counters::json #>> '{progress,counts,outcome/ok}')::bigint, 0),
    requests = coalesce((SELECT sum(count::bigint) FROM json_each_text(counters::json #> '{progress,counts}') AS of (key, count)
        WHERE key LIKE 'outcome/%' AND key NOT IN ('outcome/unsent', 'outcome/local', 'outcome/ignored',
        'outcome/request', 'outcome/not_recorded', 'outcome/session')), 0);
ALTER TABLE crawl DROP owner, DROP token, DROP owners, DROP commits;

-- None of them lives, and what they have done is in the counters of the crawl.
DROP TABLE node;
CREATE TABLE node (
    session bigint PRIMARY KEY,
    name text NOT NULL,
    term bigint NOT NULL,
    beat bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'left', 'dead')),
    commits bigint NOT NULL DEFAULT 0,
    idle boolean NOT NULL DEFAULT false,
    counters text,
    pages bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    pages_drawn bigint NOT NULL DEFAULT 0,
    requests_drawn bigint NOT NULL DEFAULT 0,
    hungry boolean NOT NULL DEFAULT false,
    joined timestamptz NOT NULL DEFAULT now(),
    seen timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 10);

CREATE TABLE part (
    part smallint PRIMARY KEY,
    owner bigint
) WITH (fillfactor = 30);
INSERT INTO part (part) SELECT generate_series(0, 1023);

-- Its first block begins behind all numbers that the owners have counted to.
CREATE SEQUENCE block;

CREATE TABLE inbox (
    part smallint NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    fingerprint bytea,
    request text NOT NULL,
    PRIMARY KEY (part, number)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

ALTER TABLE included ADD added xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX ON included (added);
