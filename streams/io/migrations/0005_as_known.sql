-- What was known when: the questions a reader may ask. The functions run with their owner's
-- rights, because a hypertable's rows can be guarded by nothing else (service.md §10): whoever
-- may execute one passes patients already authorised. Two clocks, both explicit: `known_at`
-- compares with known_time, or with what the engine could use (`as_used`): the later of
-- known_time and the time the row reached the log; a row that is not on the log was never used.

CREATE OR REPLACE FUNCTION vigil_known(known_at timestamptz, patients text[] DEFAULT NULL,
    concepts text[] DEFAULT NULL, as_used boolean DEFAULT false)
RETURNS TABLE (event_id text, version integer, status text, patient_id text, concept text,
    value double precision, unit text, text text, event_time timestamptz, known_time timestamptz,
    source text, effective_us bigint, log_partition integer, log_offset bigint, append_us bigint,
    source_coding text, source_value text, source_unit text)
LANGUAGE sql STABLE SECURITY DEFINER AS $body$
    SELECT * FROM (
        SELECT DISTINCT ON (e.event_id) e.event_id, e.version, e.status, e.patient_id, e.concept,
            e.value, e.unit, e.text, e.event_time, e.known_time, e.source,
            greatest((extract(epoch FROM e.known_time) * 1000000)::int8, f.append_us),
            f.log_partition, f.log_offset, f.append_us, e.source_coding, e.source_value,
            e.source_unit
        FROM clinical_events e JOIN event_feed f ON f.event_id = e.event_id
            AND f.version = e.version AND f.event_time = e.event_time
        WHERE e.known_time <= known_at
            AND (NOT as_used OR f.append_us <= (extract(epoch FROM known_at) * 1000000)::int8)
            AND (patients IS NULL OR e.patient_id = ANY (patients))
        ORDER BY e.event_id, e.version DESC
    ) AS newest
    WHERE newest.status <> 'cancelled' AND (concepts IS NULL OR newest.concept = ANY (concepts))
$body$;

-- The value of each concept at `at`: the latest event_time, of equal ones the later on the log.
CREATE OR REPLACE FUNCTION vigil_in_force(at timestamptz, known_at timestamptz, patients text[],
    concepts text[] DEFAULT NULL, as_used boolean DEFAULT false)
RETURNS TABLE (patient_id text, concept text, value double precision, unit text, text text,
    event_time timestamptz, known_time timestamptz, event_id text, version integer)
LANGUAGE sql STABLE SECURITY DEFINER AS $body$
    SELECT DISTINCT ON (k.patient_id, k.concept) k.patient_id, k.concept, k.value, k.unit, k.text,
        k.event_time, k.known_time, k.event_id, k.version
    FROM vigil_known(known_at, patients, concepts, as_used) k
    WHERE k.event_time <= at
    ORDER BY k.patient_id, k.concept, k.event_time DESC, k.effective_us DESC,
        k.log_offset DESC NULLS LAST, k.event_id DESC, k.version DESC
$body$;

CREATE OR REPLACE FUNCTION vigil_features(patients text[], windows text[], from_time timestamptz,
    to_time timestamptz) RETURNS SETOF features
LANGUAGE sql STABLE SECURITY DEFINER AS $body$
    SELECT * FROM features WHERE patient_id = ANY (patients) AND window_name = ANY (windows)
        AND end_time >= from_time AND end_time < to_time
    ORDER BY patient_id, window_name, end_time, revision
$body$;

CREATE OR REPLACE FUNCTION vigil_scores(patients text[], scorers text[], from_time timestamptz,
    to_time timestamptz) RETURNS SETOF scores
LANGUAGE sql STABLE SECURITY DEFINER AS $body$
    SELECT * FROM scores WHERE patient_id = ANY (patients) AND scorer = ANY (scorers)
        AND end_time >= from_time AND end_time < to_time
    ORDER BY patient_id, scorer, model, end_time, start_time, revision
$body$;

CREATE OR REPLACE FUNCTION vigil_alerts(patients text[], from_time timestamptz,
    to_time timestamptz) RETURNS SETOF alerts
LANGUAGE sql STABLE SECURITY DEFINER AS $body$
    SELECT * FROM alerts WHERE subject = ANY (patients)
        AND recorded_at >= from_time AND recorded_at < to_time
    ORDER BY recorded_at, occurrence_id, seq
$body$;
