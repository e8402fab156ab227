-- SPDX-FileCopyrightText: The crmgate authors
-- SPDX-License-Identifier: Apache-2.0

-- Records lie in blocks, a transaction's worth of one chain each.
CREATE TABLE crmgate_audit_block (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account   TEXT COLLATE "C" NOT NULL,
    chain     TEXT COLLATE "C" NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    first_at  BIGINT NOT NULL, -- the earliest and the latest time in the block
    last_at   BIGINT NOT NULL,
    body      BYTEA NOT NULL,
    UNIQUE (account, chain, first_seq)
);

CREATE INDEX crmgate_audit_block_at ON crmgate_audit_block (account, last_at);

-- The blocks in which a person's address stands.
CREATE TABLE crmgate_audit_person (
    account TEXT COLLATE "C" NOT NULL,
    email   TEXT COLLATE "C" NOT NULL,
    last_at BIGINT NOT NULL,
    block   BIGINT NOT NULL,
    PRIMARY KEY (account, email, last_at, block)
);

-- A list that somebody damaged does not keep the tables from being brought up to
-- date; the record's hash tells.
CREATE FUNCTION pg_temp.crmgate_list(list TEXT) RETURNS JSON LANGUAGE plpgsql AS $$
BEGIN
    RETURN list::json;
EXCEPTION WHEN OTHERS THEN
    RETURN 'null'::json;
END $$;

INSERT INTO crmgate_audit_block (account, chain, first_seq, last_seq, first_at, last_at, body)
SELECT account, chain, seq, seq, at, at, convert_to('J' || json_build_object(
    'chain', chain, 'seq', seq,
    'time', to_char((TIMESTAMPTZ 'epoch' + at * INTERVAL '1 microsecond') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'kind', kind, 'request_id', request_id, 'person_id', person_id, 'email', email, 'role', role, 'session', session,
    'device', device, 'ip', ip, 'ip_flags', ip_flags, 'method', method, 'host', host, 'path', path, 'operation', operation,
    'entity', entity, 'action', action, 'records', pg_temp.crmgate_list(records),
    'count', record_count, 'decision', decision, 'reason', reason, 'detail', detail, 'plan', plan,
    'masked', pg_temp.crmgate_list(masked), 'hidden', pg_temp.crmgate_list(hidden),
    'dropped', dropped, 'status', status, 'bytes', bytes, 'micros', micros, 'prev', prev, 'hash', hash)::text, 'UTF8')
FROM crmgate_audit;

INSERT INTO crmgate_audit_person (account, email, last_at, block)
SELECT b.account, a.email, b.last_at, b.id
FROM crmgate_audit a JOIN crmgate_audit_block b ON b.account = a.account AND b.chain = a.chain AND b.first_seq = a.seq
WHERE a.email <> '';

DROP TABLE crmgate_audit;
