-- What machines share of one crawl: version 2. Each crawl has a schema of its own.
--
-- Every table but the first two begins with the part that a row belongs to, 0..1023, a hash of what follows it: so rows
-- can be spread over several servers by that column, and later owned by several machines.

-- The crawl itself, one row. `token` is the number of its owner, and each commit names it: one that comes late changes nothing.
-- It begins at random and each owner has the next, so an owner of a crawl that was dropped and begun again has no number of the
-- new one. `owners` counts them.
CREATE TABLE crawl (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'running', 'stopped', 'finished')),
    owner bigint,
    token bigint NOT NULL,
    owners bigint NOT NULL DEFAULT 0,
    commits bigint NOT NULL DEFAULT 0,
    settings text,
    counters text
) WITH (fillfactor = 10);

-- The processes that crawl or wait, each by a random number, for the same reason. `beat` is their sign of life; nobody compares clocks.
CREATE TABLE node (
    session bigint PRIMARY KEY,
    name text NOT NULL,
    term bigint NOT NULL, -- in milliseconds: how long a sign of life holds, as this node counts
    beat bigint NOT NULL DEFAULT 0,
    dead boolean NOT NULL DEFAULT false,
    joined timestamptz NOT NULL DEFAULT now(),
    -- For people. Of one that was not seen for an hour the row is removed: it joins anew if it is still there.
    seen timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 10);

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
    PRIMARY KEY (part, url)
);

-- Requests that failed for good.
CREATE TABLE dead (
    part smallint NOT NULL,
    number bigint NOT NULL,
    letter text NOT NULL,
    PRIMARY KEY (part, number)
);

-- What is known of depths.
CREATE TABLE depth (
    part smallint NOT NULL,
    fingerprint bytea NOT NULL,
    known bytea NOT NULL,
    PRIMARY KEY (part, fingerprint)
);

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
