"""The tables of the event store, as numbered steps; a step that has been released is never changed."""

from __future__ import annotations

from typing import Final, LiteralString

_EVENTS: Final = """
-- `data` is json, not jsonb: the text is kept as it was written, so numbers keep every digit and hashes can be checked.
CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text NOT NULL,
    data json NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, version)
);
-- Which experiments have not ended is asked for without the read models.
CREATE INDEX events_of_phases ON events (stream, version) WHERE type IN ('ExperimentCreated', 'PhaseEntered');

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only: % is not allowed', TG_TABLE_NAME, TG_OP USING ERRCODE = 'ML002';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One appender at a time: positions are handed out in the order in which transactions commit, so whoever reads the log
-- by position never passes over an event that becomes visible later. The lock ends with the transaction.
CREATE FUNCTION append_events(stream_name text, expected bigint, types text[], texts text[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    length bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7310461);
    SELECT coalesce(max(version), 0) INTO length FROM events WHERE stream = stream_name;
    IF length <> expected THEN
        RAISE EXCEPTION 'stream % has % events; expected were %', stream_name, length, expected
            USING ERRCODE = 'ML001';
    END IF;
    INSERT INTO events (stream, version, type, data)
        SELECT stream_name, expected + item.number, item.type, item.text::json
        FROM unnest(types, texts) WITH ORDINALITY AS item (type, text, number)
        ORDER BY item.number;
    PERFORM pg_notify('ml_events', stream_name);
    RETURN expected + cardinality(types);
END $$;
"""

_READ_MODELS: Final = """
CREATE TABLE projections (name text PRIMARY KEY, position bigint NOT NULL DEFAULT 0);
INSERT INTO projections (name) VALUES ('experiments'), ('models');

CREATE TABLE experiments (
    id text PRIMARY KEY,
    name text NOT NULL,
    namespace text NOT NULL,
    model text NOT NULL,
    phase text NOT NULL,
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    created_at double precision NOT NULL,
    started_at double precision,
    ended_at double precision,
    promoting text,
    winner text,
    weights json NOT NULL DEFAULT '{}',
    salt_index integer NOT NULL,
    spec json NOT NULL,
    specification json NOT NULL,
    plan json NOT NULL,
    problems text[] NOT NULL DEFAULT '{}',
    by text NOT NULL,
    position bigint NOT NULL,
    decision_position bigint
);
CREATE INDEX experiments_newest ON experiments (created_at DESC, id DESC);
CREATE INDEX experiments_of_model ON experiments (model, created_at DESC, id DESC);
CREATE INDEX experiments_in_phase ON experiments (phase, created_at DESC, id DESC);
CREATE INDEX experiments_by_name ON experiments (name text_pattern_ops, created_at DESC);
CREATE INDEX experiments_active ON experiments (model, created_at DESC) WHERE ended_at IS NULL;

CREATE TABLE experiment_epochs (
    experiment text NOT NULL,
    index integer NOT NULL,
    at double precision NOT NULL,
    weights json NOT NULL,
    PRIMARY KEY (experiment, index)
);

CREATE TABLE decisions (
    experiment text NOT NULL,
    position bigint NOT NULL,
    at double precision NOT NULL,
    action text NOT NULL,
    reasons text[] NOT NULL,
    weights json NOT NULL,
    decision json NOT NULL,
    sample_ratio_p double precision,
    hash text NOT NULL,
    PRIMARY KEY (experiment, position)
);

CREATE TABLE commands (
    experiment text NOT NULL,
    command text NOT NULL,
    position bigint NOT NULL,
    at double precision NOT NULL,
    action text NOT NULL,
    arm text,
    by text NOT NULL,
    why text NOT NULL,
    source text NOT NULL,
    accepted boolean,
    message text NOT NULL DEFAULT '',
    PRIMARY KEY (experiment, command)
);

CREATE TABLE model_versions (
    model text NOT NULL,
    model_version integer NOT NULL,
    run text NOT NULL,
    metrics json NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (model, model_version)
);
CREATE TABLE model_slots (
    model text NOT NULL,
    slot text NOT NULL,
    model_version integer NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (model, slot)
);
CREATE TABLE model_champions (
    model text PRIMARY KEY,
    model_version integer NOT NULL,
    experiment text,
    by text NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE pipeline_runs (
    pipeline text NOT NULL,
    run text NOT NULL,
    succeeded boolean NOT NULL,
    details json NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (pipeline, run)
);
CREATE INDEX pipeline_runs_newest ON pipeline_runs (at DESC);
"""

_OUTCOMES: Final = """
-- What applications reported, as they reported it. Partitions are weeks and are dropped when they are too old.
CREATE TABLE outcomes (
    model text NOT NULL,
    id text NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    metric text,
    value double precision,
    user_id text,
    request_id text,
    slot text,
    PRIMARY KEY (model, id, at)
) PARTITION BY RANGE (at);
CREATE INDEX outcomes_of_request ON outcomes (model, request_id)
    WHERE request_id IS NOT NULL AND (user_id IS NOT NULL OR slot IS NOT NULL);

CREATE TABLE counted_experiments (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    model text NOT NULL,
    spec json NOT NULL,
    salt text NOT NULL,
    started_at double precision NOT NULL,
    ended_at double precision,
    newest_at double precision
);
CREATE INDEX counted_experiments_of_model ON counted_experiments (model);

CREATE TABLE counted_epochs (
    number integer NOT NULL,
    index integer NOT NULL,
    -- A list of pairs: the order of the slots is the gateway's.
    weights json NOT NULL,
    started_at double precision NOT NULL,
    PRIMARY KEY (number, index)
);

CREATE TABLE counted_units (
    number integer NOT NULL,
    unit text NOT NULL,
    epoch integer NOT NULL,
    arm text NOT NULL,
    first_at double precision NOT NULL,
    censored_at double precision,
    -- Numerator and denominator of each metric, in the order of the spec.
    amounts double precision[] NOT NULL,
    PRIMARY KEY (number, unit)
) WITH (fillfactor = 80);

-- What a decision reads: a few rows per experiment, kept in the transaction that counts.
CREATE TABLE counted_arms (
    number integer NOT NULL,
    epoch integer NOT NULL,
    arm text NOT NULL,
    units bigint NOT NULL,
    PRIMARY KEY (number, epoch, arm)
) WITH (fillfactor = 50);
CREATE TABLE counted_sums (
    number integer NOT NULL,
    epoch integer NOT NULL,
    arm text NOT NULL,
    metric text NOT NULL,
    n bigint NOT NULL,
    numerator double precision NOT NULL,
    denominator double precision NOT NULL,
    numerator_squares double precision NOT NULL,
    denominator_squares double precision NOT NULL,
    products double precision NOT NULL,
    PRIMARY KEY (number, epoch, arm, metric)
) WITH (fillfactor = 50);
"""

_API: Final = """
CREATE TABLE idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    request_hash text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    status integer,
    headers json,
    body bytea,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_oldest ON idempotency_keys (begun_at);

CREATE TABLE api_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at double precision NOT NULL,
    request_id text NOT NULL,
    subject text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    why text NOT NULL,
    status integer NOT NULL,
    details json NOT NULL
);
CREATE INDEX api_audit_of_target ON api_audit (target, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON api_audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

_POINTS: Final = """
-- What a picture over time needs of a decision: a tenth of the whole document, which need not be read and taken apart.
CREATE FUNCTION primary_evidence(decision json) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT coalesce(json_agg(item), '[]')
        FROM json_array_elements(
            CASE json_typeof(decision->'evidence') WHEN 'array' THEN decision->'evidence' END
        ) AS item
        WHERE item->>'role' = 'primary'
    );
ALTER TABLE decisions ADD COLUMN primary_evidence json GENERATED ALWAYS AS (primary_evidence(decision)) STORED;
"""

_EXACT_SUMS: Final = """
-- Sums that change by differences keep all their digits. By way of the text: the cast itself keeps 15 digits only.
ALTER TABLE counted_sums
    ALTER COLUMN numerator TYPE numeric USING numerator::text::numeric,
    ALTER COLUMN denominator TYPE numeric USING denominator::text::numeric,
    ALTER COLUMN numerator_squares TYPE numeric USING numerator_squares::text::numeric,
    ALTER COLUMN denominator_squares TYPE numeric USING denominator_squares::text::numeric,
    ALTER COLUMN products TYPE numeric USING products::text::numeric;
"""

STEPS: Final[tuple[LiteralString, ...]] = (_EVENTS, _READ_MODELS, _OUTCOMES, _API, _POINTS, _EXACT_SUMS)
