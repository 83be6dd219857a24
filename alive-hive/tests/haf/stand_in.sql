-- The smallest stand-ins for HAF's functions, types and views that keep the rules an application sees, under HAF's own
-- names and signatures. Written from its contract, spec/indexer.md section 7; nothing is copied from HAF.
CREATE SCHEMA hafd;
CREATE SCHEMA hive;

CREATE DOMAIN hafd.context_name AS text CHECK (VALUE ~ '^[A-Za-z0-9_]+$');
CREATE TYPE hive.blocks_range AS (first_block integer, last_block integer);
CREATE TYPE hafd.application_stage AS
  (name text, min_head_block_distance integer, blocks_limit_in_group integer, processing_alarm_threshold interval);

CREATE FUNCTION hive.stage(_name text, _distance integer, _limit integer, _alarm interval = '5 minutes')
  RETURNS hafd.application_stage LANGUAGE sql IMMUTABLE
  AS $$ SELECT ROW(_name, _distance, _limit, _alarm)::hafd.application_stage $$;
CREATE FUNCTION hafd.live_stage() RETURNS hafd.application_stage LANGUAGE sql IMMUTABLE
  AS $$ SELECT ROW('live', 0, 1, '3 seconds')::hafd.application_stage $$;

-- The chain as hived writes it: reversible blocks by fork, irreversible ones once.
CREATE TABLE hafd.hive_state (consistent_block integer NOT NULL, fork bigint NOT NULL, is_ready boolean NOT NULL);
INSERT INTO hafd.hive_state VALUES (0, 1, TRUE);
CREATE TABLE hafd.blocks (num integer PRIMARY KEY, hash bytea NOT NULL, prev bytea NOT NULL, created_at timestamp NOT NULL);
CREATE TABLE hafd.blocks_reversible (LIKE hafd.blocks, fork_id bigint, PRIMARY KEY (num, fork_id));
-- A body is text here: as in HAF, it becomes jsonb only in the views, and that can fail.
CREATE TABLE hafd.operations (id bigint PRIMARY KEY, op_type_id smallint NOT NULL, body_binary text NOT NULL);
CREATE TABLE hafd.operations_reversible (LIKE hafd.operations, fork_id bigint, PRIMARY KEY (id, fork_id));

CREATE FUNCTION hafd.operation_id_to_block_num(_id bigint) RETURNS integer LANGUAGE sql IMMUTABLE
  AS $$ SELECT (_id >> 32)::integer $$;

-- Of each number, the block of the newest fork.
CREATE VIEW hafd.newest AS
  SELECT num, max(fork_id) AS fork_id FROM hafd.blocks_reversible
  WHERE num > (SELECT consistent_block FROM hafd.hive_state) GROUP BY num;
CREATE VIEW hive.blocks_view AS
  SELECT num, hash, prev, created_at FROM hafd.blocks
  UNION ALL
  SELECT r.num, r.hash, r.prev, r.created_at FROM hafd.blocks_reversible r JOIN hafd.newest USING (num, fork_id);
CREATE VIEW hive.operations_view AS
  SELECT id, hafd.operation_id_to_block_num(id) AS block_num, op_type_id, body_binary::jsonb AS body FROM hafd.operations
  UNION ALL
  SELECT o.id, n.num, o.op_type_id, o.body_binary::jsonb
  FROM hafd.operations_reversible o
  JOIN hafd.newest n ON n.num = hafd.operation_id_to_block_num(o.id) AND n.fork_id = o.fork_id;

CREATE TABLE hafd.contexts (
  name hafd.context_name PRIMARY KEY, schema text NOT NULL, is_forking boolean NOT NULL, is_attached boolean NOT NULL,
  stages hafd.application_stage[] NOT NULL, current_block_num integer NOT NULL DEFAULT 0,
  irreversible_block integer NOT NULL DEFAULT 0, last_active_at timestamp NOT NULL DEFAULT now(),
  stage text, size_of_blocks_batch integer, end_block_range integer NOT NULL DEFAULT 0);

-- What hived does.
CREATE FUNCTION hafd.push_block(_num integer, _hash bytea, _prev bytea, _at timestamp, _types integer[], _bodies text[])
  RETURNS void LANGUAGE plpgsql AS $$
DECLARE _fork bigint := (SELECT fork FROM hafd.hive_state);
BEGIN
  INSERT INTO hafd.blocks_reversible VALUES (_num, _hash, _prev, _at, _fork);
  INSERT INTO hafd.operations_reversible
    SELECT (_num::bigint << 32) | (o.at << 8) | o.type, o.type, o.body, _fork
    FROM unnest(_types, _bodies) WITH ORDINALITY AS o (type, body, at);
END $$;
CREATE FUNCTION hafd.set_irreversible(_num integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO hafd.blocks
    SELECT r.num, r.hash, r.prev, r.created_at FROM hafd.blocks_reversible r JOIN hafd.newest USING (num, fork_id)
    WHERE num <= _num;
  INSERT INTO hafd.operations
    SELECT o.id, o.op_type_id, o.body_binary FROM hafd.operations_reversible o
    JOIN hafd.newest n ON n.num = hafd.operation_id_to_block_num(o.id) AND n.fork_id = o.fork_id WHERE n.num <= _num;
  UPDATE hafd.hive_state SET consistent_block = _num;
  DELETE FROM hafd.blocks_reversible WHERE num <= _num;
  DELETE FROM hafd.operations_reversible WHERE hafd.operation_id_to_block_num(id) <= _num;
END $$;
-- HAF leaves the blocks of the old branch until newer ones hide them; in its lite mode it deletes them.
CREATE FUNCTION hafd.back_from_fork(_num integer, _is_lite boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE hafd.hive_state SET fork = fork + 1;
  IF _is_lite THEN
    DELETE FROM hafd.blocks_reversible WHERE num > _num;
    DELETE FROM hafd.operations_reversible WHERE hafd.operation_id_to_block_num(id) > _num;
  END IF;
END $$;

-- What an application calls.
CREATE FUNCTION hive.app_context_exists(_name text) RETURNS boolean LANGUAGE sql STABLE
  AS $$ SELECT EXISTS (SELECT FROM hafd.contexts WHERE name = _name) $$;
CREATE FUNCTION hive.app_get_irreversible_block() RETURNS integer LANGUAGE sql STABLE
  AS $$ SELECT consistent_block FROM hafd.hive_state $$;
CREATE FUNCTION hive.app_get_current_block_num(_context hafd.context_name) RETURNS integer LANGUAGE sql STABLE
  AS $$ SELECT current_block_num FROM hafd.contexts WHERE name = _context $$;
CREATE FUNCTION hive.app_context_is_attached(_context hafd.context_name) RETURNS boolean LANGUAGE sql STABLE
  AS $$ SELECT is_attached FROM hafd.contexts WHERE name = _context $$;
CREATE FUNCTION hive.get_current_stage_name(_context hafd.context_name) RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT stage FROM hafd.contexts WHERE name = _context $$;

-- A detached context sees all irreversible blocks, an attached one those up to where it is.
CREATE FUNCTION hafd.create_views(_context text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c hafd.contexts := (SELECT x FROM hafd.contexts x WHERE name = _context);
  _bound text := CASE WHEN c.is_attached THEN
    format('(SELECT LEAST(irreversible_block, current_block_num) FROM hafd.contexts WHERE name = %L)', _context)
    ELSE '2147483647' END;
BEGIN
  EXECUTE format('CREATE OR REPLACE VIEW %s.blocks_view AS SELECT * FROM hafd.blocks WHERE num <= %s', c.schema, _bound);
  EXECUTE format('CREATE OR REPLACE VIEW %s.operations_view AS
    SELECT id, hafd.operation_id_to_block_num(id) AS block_num, op_type_id, body_binary::jsonb AS body
    FROM hafd.operations WHERE hafd.operation_id_to_block_num(id) <= %s', c.schema, _bound);
END $$;
CREATE FUNCTION hive.app_create_context(
    _name hafd.context_name, _schema text, _stages hafd.application_stage[], _is_forking boolean = TRUE)
  RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT hafd.live_stage() = ANY (_stages) THEN
    RAISE EXCEPTION 'No live stage in stages array %', _stages;
  END IF;
  INSERT INTO hafd.contexts (name, schema, is_forking, is_attached, stages)
    VALUES (_name, _schema, _is_forking, FALSE, _stages);
  PERFORM hafd.create_views(_name);
END $$;
CREATE FUNCTION hafd.attach(_context text, _attached boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE hafd.contexts SET is_attached = _attached, irreversible_block = hive.app_get_irreversible_block()
    WHERE name = _context AND is_attached IS DISTINCT FROM _attached;
  IF FOUND THEN PERFORM hafd.create_views(_context); END IF;
END $$;

CREATE PROCEDURE hive.app_next_iteration(
    _context hafd.context_name, _blocks_range OUT hive.blocks_range,
    _override_max_batch integer = NULL, _limit integer = NULL)
  LANGUAGE plpgsql AS $$
DECLARE
  c hafd.contexts;
  s hafd.application_stage;
  _irreversible integer;
BEGIN
  -- Inside of a transaction block this fails: invalid transaction termination.
  IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
    COMMIT;
  END IF;
  _blocks_range := NULL;
  UPDATE hafd.contexts SET last_active_at = clock_timestamp() WHERE name = _context RETURNING * INTO c;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'No context with name %', _context;
  END IF;
  IF NOT (SELECT is_ready FROM hafd.hive_state) THEN
    UPDATE hafd.contexts SET stage = 'wait_for_haf' WHERE name = _context;
    PERFORM pg_sleep(0.05);
    RETURN;
  END IF;
  IF c.current_block_num >= _limit THEN
    RETURN;
  END IF;
  _irreversible := hive.app_get_irreversible_block();
  IF c.is_forking THEN
    _irreversible := COALESCE((SELECT max(num) FROM hive.blocks_view), 0);
  END IF;
  IF c.current_block_num >= c.end_block_range OR c.stage = 'wait_for_haf' THEN
    -- A new analysis: the stage for this distance to the head, and how far its ranges go.
    SELECT * INTO s FROM unnest(c.stages) x
      WHERE x.min_head_block_distance <= (SELECT max(num) FROM hive.blocks_view) - c.current_block_num
      ORDER BY x.min_head_block_distance DESC LIMIT 1;
    PERFORM hafd.attach(_context, TRUE);
    IF c.current_block_num >= _irreversible THEN
      UPDATE hafd.contexts SET stage = s.name WHERE name = _context;
      RETURN;
    END IF;
    UPDATE hafd.contexts SET stage = s.name, end_block_range = _irreversible,
        size_of_blocks_batch = s.blocks_limit_in_group
      WHERE name = _context RETURNING * INTO c;
  END IF;
  _blocks_range.first_block := c.current_block_num + 1;
  _blocks_range.last_block := LEAST(
    c.end_block_range, COALESCE(_limit, c.end_block_range),
    c.current_block_num + COALESCE(_override_max_batch, c.size_of_blocks_batch));
  PERFORM hafd.attach(_context, c.stage = 'live');
  UPDATE hafd.contexts SET current_block_num = _blocks_range.last_block, irreversible_block = _irreversible
    WHERE name = _context;
END $$;
