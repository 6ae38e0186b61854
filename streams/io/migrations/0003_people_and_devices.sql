-- Who is where, with what on. Pseudonyms only: names belong to the hospital's own systems.

CREATE TABLE IF NOT EXISTS patients (
    patient_id text PRIMARY KEY CHECK (patient_id <> '' AND octet_length(patient_id) <= 128),
    birth_date date,
    sex text NOT NULL DEFAULT '' CHECK (sex IN ('', 'female', 'male', 'other', 'unknown')),
    deceased_at timestamptz,
    source text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS encounters (
    encounter_id text PRIMARY KEY CHECK (encounter_id <> '' AND octet_length(encounter_id) <= 128),
    patient_id text NOT NULL REFERENCES patients,
    class text NOT NULL DEFAULT '',    -- inpatient, emergency, home ...: the source's word
    ward text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at > started_at),
    source text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (encounter_id, patient_id)
);
CREATE INDEX IF NOT EXISTS encounters_of ON encounters (patient_id, started_at);
CREATE INDEX IF NOT EXISTS encounters_open ON encounters (patient_id) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS devices (
    device_id text PRIMARY KEY CHECK (device_id <> '' AND octet_length(device_id) <= 128),
    model text NOT NULL DEFAULT '',
    serial text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A device is on at most one patient at a time. An exclusion constraint on equality needs the
-- extension btree_gist; a range of one device id needs nothing and is as exact.
DO $body$
BEGIN
    IF to_regtype('vigil_text_range') IS NULL THEN
        CREATE TYPE vigil_text_range AS RANGE (subtype = text, collation = "C");
    END IF;
END
$body$;
CREATE TABLE IF NOT EXISTS device_links (
    link_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id text NOT NULL REFERENCES devices,
    patient_id text NOT NULL REFERENCES patients,
    encounter_id text,                 -- NULL: at home, no encounter
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,              -- NULL: still on
    source text NOT NULL DEFAULT '',
    CONSTRAINT device_links_interval CHECK (valid_to > valid_from),
    -- The encounter is the same patient's.
    FOREIGN KEY (encounter_id, patient_id) REFERENCES encounters (encounter_id, patient_id),
    CONSTRAINT device_links_one_patient EXCLUDE USING gist (
        vigil_text_range(device_id, device_id, '[]') WITH &&,
        tstzrange(valid_from, valid_to, '[)') WITH &&)
);
CREATE INDEX IF NOT EXISTS device_links_patient ON device_links (patient_id, valid_from);
CREATE INDEX IF NOT EXISTS device_links_device ON device_links (device_id, valid_from);

-- Whom the feed serves when it serves only those admitted: an encounter is open, a device is on,
-- or signals came within `recent`.
CREATE OR REPLACE FUNCTION vigil_admitted(recent interval DEFAULT '1 hour') RETURNS SETOF text
LANGUAGE sql STABLE AS $body$
    SELECT patient_id FROM encounters
        WHERE started_at <= clock_timestamp() AND (ended_at IS NULL OR ended_at > clock_timestamp())
    UNION SELECT patient_id FROM device_links
        WHERE valid_from <= clock_timestamp() AND (valid_to IS NULL OR valid_to > clock_timestamp())
    UNION SELECT patient_id FROM features WHERE end_time > now() - recent
$body$;

-- An admission wakes the feed: the history goes out before what is new.
CREATE OR REPLACE FUNCTION vigil_wake_feed() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_notify('vigil_events', '');
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER vigil_admission AFTER INSERT OR UPDATE ON encounters
    FOR EACH STATEMENT EXECUTE FUNCTION vigil_wake_feed();
CREATE OR REPLACE TRIGGER vigil_linked AFTER INSERT OR UPDATE ON device_links
    FOR EACH STATEMENT EXECUTE FUNCTION vigil_wake_feed();
