-- One event, one version, once: `event_feed` holds the identity of every stored fact, whether it
-- waits for the log, and where it stands there. An ordinary table, so that its key needs no time
-- (streaming.md §8). `clinical_events` itself is only ever appended to from here on.
-- Needs TimescaleDB >= 2.18 (transition tables on hypertables) or plain PostgreSQL >= 14.

CREATE TABLE IF NOT EXISTS event_feed (
    event_id text NOT NULL,
    version integer NOT NULL,
    event_time timestamptz NOT NULL,   -- where the row is: clinical_events is divided by it
    known_time timestamptz NOT NULL,
    patient_id text NOT NULL,
    arrived_at timestamptz DEFAULT clock_timestamp(),  -- NULL: older than this table
    append_us bigint,                  -- NULL: waits for the log
    log_partition integer,
    log_offset bigint,
    PRIMARY KEY (event_id, version)
);
CREATE INDEX IF NOT EXISTS event_feed_waiting ON event_feed (known_time)
    WHERE append_us IS NULL;
CREATE INDEX IF NOT EXISTS event_feed_waiting_of ON event_feed (patient_id, known_time)
    WHERE append_us IS NULL;

-- What the feed is doing, one row. `epoch` counts its holders: only the newest may publish.
-- `claim_us`: what was being published since then may be on the log without a mark.
CREATE TABLE IF NOT EXISTS feed_state (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    epoch bigint NOT NULL DEFAULT 0,
    claim_us bigint
);
INSERT INTO feed_state (single) VALUES (true) ON CONFLICT DO NOTHING;

-- What waits for a person: rows that could not become events, with their original.
CREATE TABLE IF NOT EXISTS event_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,          -- the importer's name for the row: again adds nothing
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    patient_id text NOT NULL DEFAULT '',
    source text NOT NULL DEFAULT '',
    file text NOT NULL DEFAULT '',
    line bigint,
    coding text NOT NULL DEFAULT '',   -- "system|code" as it came
    unit text NOT NULL DEFAULT '',     -- as it came
    original jsonb NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    detail text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'released', 'dropped')),
    mapped_concept text NOT NULL DEFAULT '',
    mapped_unit text NOT NULL DEFAULT '',
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz
);
CREATE INDEX IF NOT EXISTS event_quarantine_waiting ON event_quarantine (reason, coding, unit, id)
    WHERE status = 'waiting';

-- Version 1 kept positions in `clinical_events` and let one id and version stand there under
-- several times. The row the log has, else the one known first, stays; the others wait for a person.
DO $body$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'clinical_events'::regclass
        AND attname = 'published_append_us' AND NOT attisdropped) THEN
        INSERT INTO event_feed (event_id, version, event_time, known_time, patient_id, arrived_at,
            append_us, log_partition, log_offset)
        SELECT DISTINCT ON (event_id, version) event_id, version, event_time, known_time,
            patient_id, NULL::timestamptz, published_append_us, published_partition,
            published_offset
        FROM clinical_events
        ORDER BY event_id, version, published_append_us NULLS LAST, known_time, event_time
        ON CONFLICT DO NOTHING;
        INSERT INTO event_quarantine (key, patient_id, source, coding, unit, original, reason,
            detail)
        SELECT concat_ws('|', 'v1', event_id, version, event_time), patient_id, source, code, unit,
            to_jsonb(e), 'conflict', 'another row has this id and version'
        FROM clinical_events e WHERE NOT EXISTS (SELECT FROM event_feed f
            WHERE (f.event_id, f.version, f.event_time) = (e.event_id, e.version, e.event_time))
        ON CONFLICT DO NOTHING;
        DELETE FROM clinical_events e WHERE NOT EXISTS (SELECT FROM event_feed f
            WHERE (f.event_id, f.version, f.event_time) = (e.event_id, e.version, e.event_time));
        DROP INDEX IF EXISTS clinical_events_unpublished;
        ALTER TABLE clinical_events DROP COLUMN published_append_us;
        ALTER TABLE clinical_events DROP COLUMN published_partition;
        ALTER TABLE clinical_events DROP COLUMN published_offset;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'clinical_events'::regclass
        AND attname = 'code' AND NOT attisdropped) THEN
        ALTER TABLE clinical_events RENAME COLUMN code TO concept;
    END IF;
END
$body$;

-- What the source said, before it became a concept in its canonical unit.
ALTER TABLE clinical_events ADD COLUMN IF NOT EXISTS source_coding text NOT NULL DEFAULT '';
ALTER TABLE clinical_events ADD COLUMN IF NOT EXISTS source_value text NOT NULL DEFAULT '';
ALTER TABLE clinical_events ADD COLUMN IF NOT EXISTS source_unit text NOT NULL DEFAULT '';

-- Whoever inserts an event, however: it gets its place in the queue, and the feed is woken.
CREATE OR REPLACE FUNCTION vigil_queue_events() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT FROM fresh WHERE octet_length(text) > 262144
        OR greatest(octet_length(event_id), octet_length(patient_id), octet_length(concept)) > 128
        OR octet_length(unit) > 128) THEN
        RAISE EXCEPTION 'an event is larger than the log accepts' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO event_feed (event_id, version, event_time, known_time, patient_id)
    SELECT event_id, version, event_time, known_time, patient_id FROM fresh
    ORDER BY event_id, version;
    IF FOUND THEN
        PERFORM pg_notify('vigil_events', '');
    END IF;
    RETURN NULL;
END
$body$;
DROP TRIGGER IF EXISTS vigil_events ON clinical_events;
DROP FUNCTION IF EXISTS vigil_notify_events();
CREATE TRIGGER vigil_events AFTER INSERT ON clinical_events
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION vigil_queue_events();

-- The periods that rows need are given, not the rows: a writer's temporary table is its own.
DROP FUNCTION IF EXISTS vigil_partitions(regclass, regclass, name, text);
CREATE OR REPLACE FUNCTION vigil_make_partitions(
    parent regclass, time_column name, width text, starts timestamptz[]) RETURNS integer
LANGUAGE plpgsql AS $body$
DECLARE
    begins timestamptz;
    ends timestamptz;
    child text;
    taken boolean;
    made integer := 0;
BEGIN
    IF starts IS NULL OR cardinality(starts) > 64
        OR (SELECT relkind FROM pg_class WHERE oid = parent) <> 'p' THEN
        RETURN 0;
    END IF;
    FOREACH begins IN ARRAY starts LOOP
        child := format('%s_%s', (SELECT relname FROM pg_class WHERE oid = parent),
            to_char(begins AT TIME ZONE 'UTC', 'YYYYMMDD'));
        CONTINUE WHEN to_regclass(quote_ident(child)) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtext('vigil_partitions'));
        ends := (begins AT TIME ZONE 'UTC' + ('1 ' || width)::interval) AT TIME ZONE 'UTC';
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I >= %L AND %I < %L)',
            parent, time_column, begins, time_column, ends) INTO taken;
        CONTINUE WHEN taken;
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
            child, parent, begins, ends);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$body$;
