-- What machines share of one crawl: version 5. Each crawl has a schema of its own.
--
-- Every table but the first two has the primary key begin with the part that a row belongs to, 0..1023, a hash of what follows it: so
-- rows can be spread over several servers by that column.

-- The timeline of the database: another one after each failover. A replica may lack what nodes have been told is stored, so
-- what they hold belongs to the timeline that they joined in. `pg_control_checkpoint()` shows the old one until the next checkpoint.
CREATE FUNCTION timeline() RETURNS text LANGUAGE sql VOLATILE
    AS 'SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)';

-- The crawl itself, one row. Whoever changes how much is left of the limits, ends the crawl or adds a seed from outside holds its
-- lock. `ends` and `stops` count: a node compares them with what they were when it joined. `counters`, `pages` and `requests` are
-- those of nodes whose rows were removed. All live nodes have joined in `timeline`, or are void since it is another.
CREATE TABLE crawl (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'running', 'ended')),
    ends bigint NOT NULL DEFAULT 0,
    stops bigint NOT NULL DEFAULT 0,
    timeline text NOT NULL DEFAULT timeline(),
    paused boolean NOT NULL DEFAULT false,
    nodes bigint NOT NULL DEFAULT 0, -- how many have joined
    settings text,
    counters text,
    pages bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

-- The processes that crawl, each by a random number: a crawl that is dropped and begun again is another one, and a node of the old one
-- may not know yet. `beat` is the sign of life; nobody compares clocks. Each commit of a node begins with its row, and only while
-- that is live and the database's timeline is the one that it joined in. `commits` numbers them. `idle` says that nothing was left to do with the last one, and `unfit` that parts should be
-- another's while there is one: this node has a fault of its own, or is about to leave. `ends` is that of the crawl when it joined.
-- The last columns are what it has drawn of the limits of the whole crawl, and what it has used.
CREATE TABLE node (
    session bigint PRIMARY KEY,
    name text NOT NULL,
    version integer NOT NULL CHECK (version >= 5), -- that of the tables which its program writes
    term bigint NOT NULL, -- in milliseconds: how long a sign of life holds, as this node counts
    beat bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'left', 'dead')),
    timeline text NOT NULL DEFAULT timeline(),
    commits bigint NOT NULL DEFAULT 0,
    idle boolean NOT NULL DEFAULT false,
    unfit boolean NOT NULL DEFAULT false,
    ends bigint NOT NULL DEFAULT 0,
    counters text,
    pages bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    pages_drawn bigint NOT NULL DEFAULT 0,
    requests_drawn bigint NOT NULL DEFAULT 0,
    hungry boolean NOT NULL DEFAULT false,
    joined timestamptz NOT NULL DEFAULT now(),
    seen timestamptz NOT NULL DEFAULT now() -- for people
) WITH (fillfactor = 10);

-- Whose each part is: a session, or nobody's if that is no live one.
CREATE TABLE part (
    part smallint PRIMARY KEY,
    owner bigint
) WITH (fillfactor = 30);

-- How long ago the domains were asked of parts that their owners have given away in order: those that are named, and with an empty
-- name all others of the part. Whoever takes a part removes its rows, so they are never those of an earlier owner.
CREATE TABLE rested (
    part smallint NOT NULL,
    domain text COLLATE "C" NOT NULL,
    ages text NOT NULL,
    PRIMARY KEY (part, domain)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- What entries, leases and dead letters are numbered from, in blocks: no two nodes use the same number.
CREATE SEQUENCE block;

-- Requests that were sent to the owner of their part, which admits and removes them in one commit. One without a fingerprint is a
-- seed from outside; its part is that of its URL.
CREATE TABLE inbox (
    part smallint NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    fingerprint bytea,
    request text NOT NULL,
    PRIMARY KEY (part, number)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- Requests that wait or are on lease.
CREATE TABLE queue (
    part smallint NOT NULL,
    domain text COLLATE "C" NOT NULL,
    rank bigint NOT NULL,
    age bigint NOT NULL,
    attempts integer NOT NULL,
    not_before bigint,
    request text NOT NULL,
    PRIMARY KEY (part, domain, rank, age)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- How many those are of each domain.
CREATE TABLE waiting (
    part smallint NOT NULL,
    domain text COLLATE "C" NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (part, domain)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- Fingerprints of what was admitted, with the second since 1970.
CREATE TABLE seen (
    part smallint NOT NULL,
    fingerprint bytea NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (part, fingerprint)
);

-- What a domain has taught.
CREATE TABLE past (
    part smallint NOT NULL,
    domain text COLLATE "C" NOT NULL,
    history text NOT NULL,
    PRIMARY KEY (part, domain)
) WITH (fillfactor = 70);

-- Hosts that are in the scope, as `scheme://host/`.
CREATE TABLE included (
    part smallint NOT NULL,
    url text COLLATE "C" NOT NULL,
    -- Nodes read what has come since they last looked: what is of no earlier transaction than the oldest that had not ended then.
    added xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (part, url)
);
CREATE INDEX ON included (added);

-- Requests that failed for good.
CREATE TABLE dead (
    part smallint NOT NULL,
    number bigint NOT NULL,
    letter text NOT NULL,
    PRIMARY KEY (part, number)
);

-- What is known of depths, by any node: of a page, how far it is at the most and where it leads to, or a request that is too deep. Nodes
-- read what has come since they last looked, as of `included`.
CREATE TABLE depth (
    part smallint NOT NULL,
    fingerprint bytea NOT NULL,
    known bytea NOT NULL,
    changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (part, fingerprint)
);
CREATE INDEX ON depth (changed);

-- The last visits of pages.
CREATE TABLE visit (
    part smallint NOT NULL,
    fingerprint bytea NOT NULL,
    visit bytea NOT NULL,
    PRIMARY KEY (part, fingerprint)
);

-- Robots files.
CREATE TABLE robots (
    part smallint NOT NULL,
    origin text COLLATE "C" NOT NULL,
    file bytea NOT NULL,
    PRIMARY KEY (part, origin)
);
