-- Whose signals come: one row per patient, so that asking costs the same however many features
-- there are, and the first signal wakes the feed at once.
CREATE TABLE IF NOT EXISTS monitored (
    patient_id text PRIMARY KEY,
    last_at timestamptz NOT NULL       -- end of a window, at most ten minutes behind the newest
);
INSERT INTO monitored (patient_id, last_at)
SELECT patient_id, max(end_time) FROM features WHERE end_time > now() - interval '1 hour'
GROUP BY patient_id ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION vigil_wake_feed_if_any() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT FROM fresh) THEN
        PERFORM pg_notify('vigil_events', '');
    END IF;
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER vigil_first_signal AFTER INSERT ON monitored
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION vigil_wake_feed_if_any();

CREATE OR REPLACE FUNCTION vigil_admitted(recent interval DEFAULT '1 hour') RETURNS SETOF text
LANGUAGE sql STABLE AS $body$
    SELECT patient_id FROM encounters
        WHERE started_at <= clock_timestamp() AND (ended_at IS NULL OR ended_at > clock_timestamp())
    UNION SELECT patient_id FROM device_links
        WHERE valid_from <= clock_timestamp() AND (valid_to IS NULL OR valid_to > clock_timestamp())
    UNION SELECT patient_id FROM monitored WHERE last_at > now() - recent
$body$;
