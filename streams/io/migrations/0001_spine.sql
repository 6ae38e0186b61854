-- Vigil's tables, version 1. Runs on TimescaleDB (any edition) and on plain PostgreSQL >= 14,
-- as often as you like: it creates what is missing and changes nothing else.
--
-- A table over time is a hypertable where the extension is installed, and range-partitioned
-- where it is not. Times are timestamptz, which both keep as whole microseconds.
-- `alerts` is an ordinary table: a hypertable's key would have to contain a time (streaming.md §8).

CREATE OR REPLACE FUNCTION pg_temp.vigil_time_table(
    name text, time_column text, chunk interval, columns text) RETURNS void
LANGUAGE plpgsql AS $body$
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        EXECUTE format('CREATE TABLE %I (%s)', name, columns);
        PERFORM create_hypertable(name::regclass, time_column::name,
            chunk_time_interval => chunk, create_default_indexes => false);
    ELSE
        EXECUTE format('CREATE TABLE %I (%s) PARTITION BY RANGE (%I)', name, columns, time_column);
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', name || '_default', name);
    END IF;
    EXECUTE format('CREATE INDEX ON %I USING brin (%I)', name, time_column);
END
$body$;

CREATE TABLE IF NOT EXISTS schema_version (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Facts of care. `event_time`: when true; `known_time`: when anyone could know it, never guessed.
-- The published_* columns are the event feed's: NULL until the row is in vigil.in.v1.
SELECT pg_temp.vigil_time_table('clinical_events', 'event_time', '7 days', $columns$
    event_id text NOT NULL,
    version integer NOT NULL CHECK (version >= 0),
    status text NOT NULL CHECK (status IN ('final', 'corrected', 'cancelled')),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    code text NOT NULL CHECK (code <> ''),
    value double precision CHECK (value > '-Infinity' AND value < 'Infinity'),
    unit text NOT NULL DEFAULT '',
    text text NOT NULL DEFAULT '',
    event_time timestamptz NOT NULL,
    known_time timestamptz NOT NULL,
    source text NOT NULL DEFAULT '',
    published_append_us bigint,
    published_partition integer,
    published_offset bigint,
    -- What streams.codec accepts; also keeps 'infinity' out.
    CHECK (event_time >= '2000-01-01 00:00Z' AND event_time < '2100-01-01 00:00Z'),
    CHECK (known_time >= '2000-01-01 00:00Z' AND known_time < '2100-01-01 00:00Z'),
    PRIMARY KEY (event_id, version, event_time)
$columns$);
CREATE INDEX IF NOT EXISTS clinical_events_patient ON clinical_events (patient_id, known_time);
CREATE INDEX IF NOT EXISTS clinical_events_unpublished ON clinical_events (known_time)
    WHERE published_append_us IS NULL;

-- One row per patient, window and revision; `record` is the message of vigil.features.v1.
SELECT pg_temp.vigil_time_table('features', 'end_time', '12 hours', $columns$
    patient_id text NOT NULL,
    window_name text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    known_time timestamptz NOT NULL,
    revision integer NOT NULL,
    record jsonb NOT NULL,
    PRIMARY KEY (patient_id, window_name, end_time, revision)
$columns$);

-- One row per scorer's word on a window; `record` is the message of vigil.scores.v1.
SELECT pg_temp.vigil_time_table('scores', 'end_time', '1 day', $columns$
    patient_id text NOT NULL,
    scorer text NOT NULL,
    model text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    known_time timestamptz NOT NULL,
    revision integer NOT NULL,
    value double precision,
    record jsonb NOT NULL,
    PRIMARY KEY (patient_id, scorer, model, end_time, start_time, revision)
$columns$);

-- Lifecycle events of alerts; `record` is the message of vigil.alerts.v1.
CREATE TABLE IF NOT EXISTS alerts (
    occurrence_id text NOT NULL,
    seq integer NOT NULL,
    phase text NOT NULL,
    subject text NOT NULL,
    priority text NOT NULL,
    recorded_at timestamptz NOT NULL,
    record jsonb NOT NULL,
    PRIMARY KEY (occurrence_id, seq)
);
CREATE INDEX IF NOT EXISTS alerts_subject ON alerts (subject, recorded_at);

-- Plain PostgreSQL: create the partitions that the rows in `stage` need. A row whose range
-- already has rows in the default partition, or a batch spread over too many ranges, stays in
-- the default partition: slower to drop, never lost. On a hypertable this does nothing.
CREATE OR REPLACE FUNCTION vigil_partitions(
    parent regclass, stage regclass, time_column name, width text) RETURNS integer
LANGUAGE plpgsql AS $body$
DECLARE
    starts timestamptz[];
    begins timestamptz;
    ends timestamptz;
    child text;
    taken boolean;
    made integer := 0;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = parent) <> 'p' THEN
        RETURN 0;
    END IF;
    EXECUTE format('SELECT array_agg(DISTINCT date_trunc(%L, %I, ''UTC'')) FROM %s',
        width, time_column, stage) INTO starts;
    IF starts IS NULL OR cardinality(starts) > 64 THEN
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

-- Drop whole chunks or partitions that end at or before `older_than`; returns how many.
CREATE OR REPLACE FUNCTION vigil_drop_before(parent regclass, older_than timestamptz)
RETURNS integer LANGUAGE plpgsql AS $body$
DECLARE
    child regclass;
    ends timestamptz;
    dropped integer := 0;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = parent) <> 'p' THEN
        SELECT count(*) INTO dropped FROM drop_chunks(parent, older_than => older_than);
        RETURN dropped;
    END IF;
    FOR child IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = parent LOOP
        SELECT substring(pg_get_expr(relpartbound, oid) FROM 'TO \(''([^'']+)''\)')::timestamptz
            INTO ends FROM pg_class WHERE oid = child;
        IF ends <= older_than THEN
            EXECUTE format('DROP TABLE %s', child);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END
$body$;

-- The feed listens; a statement that inserts events wakes it, whoever wrote it.
CREATE OR REPLACE FUNCTION vigil_notify_events() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_notify('vigil_events', '');
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER vigil_events AFTER INSERT ON clinical_events
    FOR EACH STATEMENT EXECUTE FUNCTION vigil_notify_events();

INSERT INTO schema_version (version) VALUES (1) ON CONFLICT DO NOTHING;
