-- SPDX-FileCopyrightText: The crmgate authors
-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE crmgate_account (
    account TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE crmgate_person (
    account   TEXT NOT NULL,
    id        TEXT NOT NULL,
    email     TEXT NOT NULL,
    email_key TEXT NOT NULL, -- the address folded
    name      TEXT NOT NULL,
    role      TEXT NOT NULL,
    owner_ids TEXT NOT NULL, -- JSON array, '' when empty
    user_type TEXT NOT NULL,
    status    TEXT NOT NULL,
    version   INTEGER NOT NULL,
    created   INTEGER NOT NULL, -- Unix microseconds, as every time here
    updated   INTEGER NOT NULL,
    PRIMARY KEY (account, id),
    UNIQUE (account, email_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE crmgate_credential (
    account   TEXT NOT NULL,
    person_id TEXT NOT NULL,
    kind      TEXT NOT NULL,
    secret    BLOB NOT NULL,
    updated   INTEGER NOT NULL,
    PRIMARY KEY (account, person_id, kind),
    FOREIGN KEY (account, person_id) REFERENCES crmgate_person (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE crmgate_crm_key (
    account   TEXT NOT NULL,
    person_id TEXT NOT NULL,
    lookup    TEXT NOT NULL,
    sealed    BLOB NOT NULL,
    updated   INTEGER NOT NULL,
    PRIMARY KEY (account, person_id),
    UNIQUE (account, lookup),
    FOREIGN KEY (account, person_id) REFERENCES crmgate_person (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE crmgate_blob (
    account TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   BLOB NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE crmgate_revision (
    account   TEXT NOT NULL,
    number    INTEGER NOT NULL,
    digest    TEXT NOT NULL,
    source    BLOB NOT NULL,
    by_person TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE crmgate_audit_head (
    account TEXT NOT NULL,
    chain   TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    hash    TEXT NOT NULL,
    PRIMARY KEY (account, chain)
) STRICT, WITHOUT ROWID;

CREATE TABLE crmgate_audit (
    account      TEXT NOT NULL,
    chain        TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    request_id   TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    email        TEXT NOT NULL,
    role         TEXT NOT NULL,
    session      TEXT NOT NULL,
    device       TEXT NOT NULL,
    ip           TEXT NOT NULL,
    ip_flags     TEXT NOT NULL,
    method       TEXT NOT NULL,
    host         TEXT NOT NULL,
    path         TEXT NOT NULL,
    operation    TEXT NOT NULL,
    entity       TEXT NOT NULL,
    action       TEXT NOT NULL,
    records      TEXT NOT NULL, -- JSON array, '' when empty
    record_count INTEGER NOT NULL,
    decision     TEXT NOT NULL,
    reason       TEXT NOT NULL,
    detail       TEXT NOT NULL,
    plan         TEXT NOT NULL,
    masked       TEXT NOT NULL, -- JSON array, '' when empty
    hidden       TEXT NOT NULL, -- JSON array, '' when empty
    dropped      INTEGER NOT NULL,
    status       INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    micros       INTEGER NOT NULL,
    prev         TEXT NOT NULL,
    hash         TEXT NOT NULL,
    PRIMARY KEY (account, chain, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX crmgate_audit_at ON crmgate_audit (account, at);
CREATE INDEX crmgate_audit_email ON crmgate_audit (account, email, at);
CREATE INDEX crmgate_audit_request ON crmgate_audit (account, request_id);
