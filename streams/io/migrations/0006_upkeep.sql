-- How long rows are kept, and the timer's work. NULL: for ever. Only the owner writes the table;
-- whoever runs the timer may drop what the table says is old, and nothing else.
CREATE TABLE IF NOT EXISTS retention (
    table_name text PRIMARY KEY CHECK (table_name IN
        ('clinical_events', 'features', 'scores', 'alerts', 'event_quarantine')),
    keep interval CHECK (keep > interval '0'),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO retention (table_name) VALUES ('clinical_events'), ('features'), ('scores'),
    ('alerts'), ('event_quarantine') ON CONFLICT DO NOTHING;

-- Drop what is older than it is kept, by event or end time: whole chunks or partitions, rows of
-- ordinary tables. What waits, for the log or for a person, is never dropped.
CREATE OR REPLACE FUNCTION vigil_upkeep() RETURNS TABLE (table_name text, dropped bigint)
LANGUAGE plpgsql SECURITY DEFINER AS $body$
DECLARE
    rule record;
    oldest timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('vigil_upkeep'));
    FOR rule IN SELECT r.table_name, clock_timestamp() - r.keep AS before
        FROM retention r WHERE r.keep IS NOT NULL ORDER BY 1 LOOP
        table_name := rule.table_name;
        IF rule.table_name = 'alerts' THEN
            -- Whole stories only: an alert goes when its last step is old.
            WITH gone AS (
                DELETE FROM alerts a USING (SELECT occurrence_id FROM alerts
                    GROUP BY occurrence_id HAVING max(recorded_at) < rule.before) old
                WHERE a.occurrence_id = old.occurrence_id RETURNING 1
            ) SELECT count(*) INTO dropped FROM gone;
        ELSIF rule.table_name = 'event_quarantine' THEN
            WITH gone AS (
                DELETE FROM event_quarantine
                WHERE status <> 'waiting' AND decided_at < rule.before RETURNING 1
            ) SELECT count(*) INTO dropped FROM gone;
        ELSE
            IF rule.table_name = 'clinical_events' THEN
                SELECT min(event_time) INTO oldest FROM event_feed WHERE append_us IS NULL;
                rule.before := least(rule.before, oldest);
            END IF;
            dropped := vigil_drop_before(rule.table_name::regclass, rule.before);
            IF rule.table_name = 'clinical_events' AND dropped > 0 THEN
                DELETE FROM event_feed f WHERE f.event_time < rule.before
                    AND NOT EXISTS (SELECT FROM clinical_events e WHERE e.event_id = f.event_id
                        AND e.version = f.version AND e.event_time = f.event_time);
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$body$;

-- `scores_hourly` is a continuous aggregate or a view, whichever this server has (upkeep.py); it
-- is made after the migrations, so its name is looked up when the function is called.
CREATE OR REPLACE FUNCTION vigil_scores_hourly(patients text[], scorers text[],
    from_time timestamptz, to_time timestamptz)
RETURNS TABLE (patient_id text, scorer text, model text, hour timestamptz,
    lowest double precision, highest double precision, mean double precision, scores bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $body$
BEGIN
    RETURN QUERY SELECT h.patient_id, h.scorer, h.model, h.hour, h.lowest, h.highest, h.mean,
        h.scores
    FROM scores_hourly h
    WHERE h.patient_id = ANY (patients) AND h.scorer = ANY (scorers)
        AND h.hour >= from_time AND h.hour < to_time
    ORDER BY h.patient_id, h.scorer, h.model, h.hour;
END
$body$;
