-- Version 5: a node tells which version its program writes, so that none joins whose program looked before the upgrade,
-- and depths tell when they changed.
ALTER TABLE node ADD version integer NOT NULL DEFAULT 5 CHECK (version >= 5);
ALTER TABLE node ALTER version DROP DEFAULT;

ALTER TABLE depth ADD changed xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX ON depth (changed);
