-- Who may do what; run after the migrations at every `vigil init`, as often as you like.
--   vigil_migrate  owns everything: creates and changes tables
--   vigil_writer   importers, the event feed, the sink: adds rows, marks what is on the log
--   vigil_reader   asks the vigil_* functions; no table, so no chunk either
--   vigil_audit    adds rows to access_log and sees none
-- Logins are the site's: CREATE ROLE api LOGIN IN ROLE vigil_reader. Where this login may not
-- create roles, everything stays with it and `vigil doctor` says so.
DO $body$
DECLARE
    names constant text[] := ARRAY['vigil_migrate', 'vigil_writer', 'vigil_reader', 'vigil_audit'];
    asked constant regprocedure[] := ARRAY[
        'vigil_known(timestamptz, text[], text[], boolean)',
        'vigil_in_force(timestamptz, timestamptz, text[], text[], boolean)',
        'vigil_features(text[], text[], timestamptz, timestamptz)',
        'vigil_scores(text[], text[], timestamptz, timestamptz)',
        'vigil_scores_hourly(text[], text[], timestamptz, timestamptz)',
        'vigil_alerts(text[], timestamptz, timestamptz)',
        'vigil_access_log_fault()']::regprocedure[];
    definers constant regprocedure[] := asked || ARRAY['vigil_upkeep()', 'vigil_chain_access()',
        'vigil_make_partitions(regclass, name, text, timestamptz[])']::regprocedure[];
    home constant text := current_schema();
    path text := quote_ident(home);
    known integer;
    name text;
    part regclass;
    routine regprocedure;
BEGIN
    -- Functions with their owner's rights find only what the owner meant, and are for nobody
    -- until granted.
    SELECT path || coalesce((SELECT ', ' || quote_ident(nspname) FROM pg_extension e
        JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE extname = 'timescaledb' AND nspname <> home), '') || ', pg_temp' INTO path;
    FOREACH routine IN ARRAY definers LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %s', routine, path);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine);
    END LOOP;

    FOREACH name IN ARRAY names LOOP
        IF to_regrole(name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION  -- created by another database's init meanwhile, or not for this login
                WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
            END;
        END IF;
    END LOOP;
    -- Whoever made the role may join it; a superuser need not.
    IF to_regrole('vigil_migrate') IS NOT NULL
        AND NOT pg_has_role(current_user, 'vigil_migrate', 'USAGE') THEN
        BEGIN
            EXECUTE format('GRANT vigil_migrate TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END IF;
    SELECT count(*) INTO known FROM unnest(names) AS n WHERE to_regrole(n) IS NOT NULL;
    IF known < cardinality(names) OR NOT pg_has_role(current_user, 'vigil_migrate', 'USAGE') THEN
        RETURN;
    END IF;

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO vigil_writer, vigil_reader, vigil_audit', home);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO vigil_migrate', home);
    FOR part IN SELECT c.oid FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE c.relnamespace = home::regnamespace AND c.relkind IN ('r', 'p')
            AND c.relowner <> 'vigil_migrate'::regrole
            AND (SELECT p.relname FROM pg_class p WHERE p.oid = coalesce(i.inhparent, c.oid)) IN (
                'clinical_events', 'features', 'scores', 'alerts', 'event_feed', 'feed_state',
                'event_quarantine', 'patients', 'encounters', 'devices', 'device_links',
                'retention', 'monitored', 'access_log', 'schema_version') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO vigil_migrate', part);
    END LOOP;
    FOR routine IN SELECT oid FROM pg_proc WHERE pronamespace = home::regnamespace
        AND proname LIKE 'vigil\_%' AND proowner <> 'vigil_migrate'::regrole
        AND proname <> 'vigil_text_range' AND NOT EXISTS (SELECT FROM pg_depend
            WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'i') LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO vigil_migrate', routine);
    END LOOP;

    GRANT SELECT ON scores_hourly TO vigil_migrate;
    GRANT SELECT ON schema_version TO vigil_writer, vigil_reader;
    GRANT SELECT, INSERT ON clinical_events, features, scores, alerts TO vigil_writer;
    GRANT SELECT, INSERT, UPDATE (append_us, log_partition, log_offset) ON event_feed
        TO vigil_writer;
    GRANT SELECT, UPDATE (epoch, claim_us) ON feed_state TO vigil_writer;
    GRANT SELECT, INSERT, UPDATE ON patients, encounters, devices TO vigil_writer;
    GRANT SELECT, INSERT, UPDATE (valid_to) ON device_links TO vigil_writer;
    GRANT SELECT, INSERT, UPDATE (last_at) ON monitored TO vigil_writer;
    GRANT SELECT, INSERT, UPDATE (status, mapped_concept, mapped_unit, decided_by, decided_at)
        ON event_quarantine TO vigil_writer;
    GRANT EXECUTE ON FUNCTION vigil_upkeep(), vigil_make_partitions(regclass, name, text,
        timestamptz[]) TO vigil_writer;
    GRANT INSERT (actor, role, action, patient_id, object, client, trace, detail) ON access_log
        TO vigil_audit;
    FOREACH routine IN ARRAY asked LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO vigil_reader, vigil_writer', routine);
    END LOOP;
    REVOKE EXECUTE ON FUNCTION vigil_access_log_fault() FROM vigil_writer;
END
$body$;
