-- The log's own limits (streams.codec), for rows that come past Vigil's importers: what could not
-- go onto the log is refused at the insert, where its sender hears of it.
CREATE OR REPLACE FUNCTION vigil_queue_events() RETURNS trigger
LANGUAGE plpgsql AS $body$
DECLARE
    fault text;
BEGIN
    SELECT CASE
        WHEN length(unit) > 32 THEN 'unit: over 32 characters'
        WHEN octet_length(text) > 65536 AND length(text) > 65536 THEN 'text: over 65536 characters'
        WHEN greatest(octet_length(source), octet_length(source_coding), octet_length(source_value),
            octet_length(source_unit)) > 4096 THEN 'a source column: over 4096 bytes'
        ELSE 'event_id, patient_id or concept: empty, over 128 bytes, or with control characters'
        END INTO fault
    FROM fresh
    WHERE length(unit) > 32 OR (octet_length(text) > 65536 AND length(text) > 65536)
        OR greatest(octet_length(source), octet_length(source_coding), octet_length(source_value),
            octet_length(source_unit)) > 4096
        OR least(octet_length(event_id), octet_length(patient_id), octet_length(concept)) = 0
        OR greatest(octet_length(event_id), octet_length(patient_id), octet_length(concept)) > 128
        OR event_id ~ '[[:cntrl:]]' OR patient_id ~ '[[:cntrl:]]' OR concept ~ '[[:cntrl:]]'
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the log would refuse an event: %', fault USING ERRCODE = 'check_violation';
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
