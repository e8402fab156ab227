-- SPDX-FileCopyrightText: The crmgate authors
-- SPDX-License-Identifier: Apache-2.0

-- Records lie in blocks, a transaction's worth of one chain each.
CREATE TABLE crmgate_audit_block (
    id        INTEGER PRIMARY KEY,
    account   TEXT NOT NULL,
    chain     TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    first_at  INTEGER NOT NULL, -- the earliest and the latest time in the block
    last_at   INTEGER NOT NULL,
    body      BLOB NOT NULL,
    UNIQUE (account, chain, first_seq)
) STRICT;

CREATE INDEX crmgate_audit_block_at ON crmgate_audit_block (account, last_at);

-- The blocks in which a person's address stands.
CREATE TABLE crmgate_audit_person (
    account TEXT NOT NULL,
    email   TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    block   INTEGER NOT NULL,
    PRIMARY KEY (account, email, last_at, block)
) STRICT, WITHOUT ROWID;

INSERT INTO crmgate_audit_block (account, chain, first_seq, last_seq, first_at, last_at, body)
SELECT account, chain, seq, seq, at, at, CAST('J' || json_object(
    'chain', chain, 'seq', seq,
    'time', strftime('%Y-%m-%dT%H:%M:%S', CASE WHEN at % 1000000 < 0 THEN at / 1000000 - 1 ELSE at / 1000000 END, 'unixepoch')
        || printf('.%06dZ', ((at % 1000000) + 1000000) % 1000000),
    'kind', kind, 'request_id', request_id, 'person_id', person_id, 'email', email, 'role', role, 'session', session,
    'device', device, 'ip', ip, 'ip_flags', ip_flags, 'method', method, 'host', host, 'path', path, 'operation', operation,
    'entity', entity, 'action', action, 'records', json(CASE WHEN json_valid(records) THEN records ELSE 'null' END),
    'count', record_count, 'decision', decision, 'reason', reason, 'detail', detail, 'plan', plan,
    'masked', json(CASE WHEN json_valid(masked) THEN masked ELSE 'null' END),
    'hidden', json(CASE WHEN json_valid(hidden) THEN hidden ELSE 'null' END),
    'dropped', dropped, 'status', status, 'bytes', bytes, 'micros', micros, 'prev', prev, 'hash', hash) AS BLOB)
FROM crmgate_audit;

INSERT INTO crmgate_audit_person (account, email, last_at, block)
SELECT b.account, a.email, b.last_at, b.id
FROM crmgate_audit a JOIN crmgate_audit_block b ON b.account = a.account AND b.chain = a.chain AND b.first_seq = a.seq
WHERE a.email <> '';

DROP TABLE crmgate_audit;
