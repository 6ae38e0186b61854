-- A hash of every fact's content beside its identity: importing years again compares 16 bytes a
-- row and never touches the time table. hash_record_extended is what hash partitions rest on, so
-- it is the same on every server.
CREATE OR REPLACE FUNCTION vigil_content(status text, patient_id text, concept text,
    value double precision, unit text, text text, event_time timestamptz, known_time timestamptz,
    source text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$
    SELECT hash_record_extended(ROW(status, patient_id, concept, value, unit, text, event_time,
        known_time, source), 0)
$body$;

ALTER TABLE event_feed ADD COLUMN IF NOT EXISTS content bigint;
UPDATE event_feed f SET content = vigil_content(e.status, e.patient_id, e.concept, e.value, e.unit,
    e.text, e.event_time, e.known_time, e.source)
FROM clinical_events e
WHERE f.content IS NULL AND e.event_id = f.event_id AND e.version = f.version
    AND e.event_time = f.event_time;
ALTER TABLE event_feed ALTER COLUMN content SET NOT NULL;

CREATE OR REPLACE FUNCTION vigil_queue_events() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT FROM fresh WHERE octet_length(text) > 262144
        OR greatest(octet_length(event_id), octet_length(patient_id), octet_length(concept)) > 128
        OR octet_length(unit) > 128) THEN
        RAISE EXCEPTION 'an event is larger than the log accepts' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO event_feed (event_id, version, event_time, known_time, patient_id, content)
    SELECT event_id, version, event_time, known_time, patient_id, vigil_content(status, patient_id,
        concept, value, unit, text, event_time, known_time, source)
    FROM fresh;
    IF FOUND THEN
        PERFORM pg_notify('vigil_events', '');
    END IF;
    RETURN NULL;
END
$body$;
