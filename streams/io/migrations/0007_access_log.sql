-- Who looked at whom, who did what: rows are only ever added, each holds the hash of the one
-- before, so that a row changed or removed by anyone is found by `vigil_access_log_fault()`.
CREATE TABLE IF NOT EXISTS access_log (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL CHECK (actor <> ''),
    role text NOT NULL DEFAULT '',
    action text NOT NULL CHECK (action <> ''),
    patient_id text NOT NULL DEFAULT '',
    object text NOT NULL DEFAULT '',
    client text NOT NULL DEFAULT '',
    trace text NOT NULL DEFAULT '',
    detail jsonb NOT NULL DEFAULT '{}',
    prev_hash bytea NOT NULL DEFAULT '',
    hash bytea NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS access_log_patient ON access_log (patient_id, at);

CREATE OR REPLACE FUNCTION vigil_access_hash(entry access_log) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $body$
    SELECT sha256(entry.prev_hash || convert_to(jsonb_build_array(entry.seq,
        (extract(epoch FROM entry.at) * 1000000)::int8, entry.actor, entry.role, entry.action,
        entry.patient_id, entry.object, entry.client, entry.trace, entry.detail)::text, 'UTF8'))
$body$;

CREATE OR REPLACE FUNCTION vigil_chain_access() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $body$
BEGIN
    -- One writer at a time: the next sees the hash of this one. The number is drawn under the
    -- lock, so that numbers and chain have the same order.
    PERFORM pg_advisory_xact_lock(hashtext('vigil_access_log'));
    NEW.seq := nextval(pg_get_serial_sequence('access_log', 'seq'));
    NEW.at := clock_timestamp();
    NEW.prev_hash := coalesce((SELECT hash FROM access_log ORDER BY seq DESC LIMIT 1), '');
    NEW.hash := vigil_access_hash(NEW);
    RETURN NEW;
END
$body$;
CREATE OR REPLACE TRIGGER vigil_chain BEFORE INSERT ON access_log
    FOR EACH ROW EXECUTE FUNCTION vigil_chain_access();

CREATE OR REPLACE FUNCTION vigil_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$body$;
CREATE OR REPLACE TRIGGER vigil_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access_log
    FOR EACH STATEMENT EXECUTE FUNCTION vigil_refuse_change();

-- Number of the first row whose hash, or whose predecessor's, is not what it should be; or NULL.
CREATE OR REPLACE FUNCTION vigil_access_log_fault() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER AS $body$
    SELECT min(seq) FROM (
        SELECT l.seq, l.hash IS DISTINCT FROM vigil_access_hash(l) OR l.prev_hash IS DISTINCT FROM
            coalesce(lag(l.hash) OVER (ORDER BY l.seq), '') AS wrong
        FROM access_log l
    ) AS checked WHERE wrong
$body$;
