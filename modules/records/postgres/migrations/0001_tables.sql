-- SPDX-FileCopyrightText: The crmgate authors
-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE crmgate_account (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE crmgate_person (
    account   TEXT COLLATE "C" NOT NULL,
    id        TEXT COLLATE "C" NOT NULL,
    email     TEXT COLLATE "C" NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL, -- the address folded
    name      TEXT COLLATE "C" NOT NULL,
    role      TEXT COLLATE "C" NOT NULL,
    owner_ids TEXT COLLATE "C" NOT NULL, -- JSON array, '' when empty
    user_type TEXT COLLATE "C" NOT NULL,
    status    TEXT COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    created   BIGINT NOT NULL, -- Unix microseconds, as every time here
    updated   BIGINT NOT NULL,
    PRIMARY KEY (account, id),
    UNIQUE (account, email_key)
);

CREATE TABLE crmgate_credential (
    account   TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    secret    BYTEA NOT NULL,
    updated   BIGINT NOT NULL,
    PRIMARY KEY (account, person_id, kind),
    FOREIGN KEY (account, person_id) REFERENCES crmgate_person (account, id)
);

CREATE TABLE crmgate_crm_key (
    account   TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    lookup    TEXT COLLATE "C" NOT NULL,
    sealed    BYTEA NOT NULL,
    updated   BIGINT NOT NULL,
    PRIMARY KEY (account, person_id),
    UNIQUE (account, lookup),
    FOREIGN KEY (account, person_id) REFERENCES crmgate_person (account, id)
);

CREATE TABLE crmgate_blob (
    account TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    value   BYTEA NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);

CREATE TABLE crmgate_revision (
    account   TEXT COLLATE "C" NOT NULL,
    number    BIGINT NOT NULL,
    digest    TEXT COLLATE "C" NOT NULL,
    source    BYTEA NOT NULL,
    by_person TEXT COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (account, number)
);

CREATE TABLE crmgate_audit_head (
    account TEXT COLLATE "C" NOT NULL,
    chain   TEXT COLLATE "C" NOT NULL,
    seq     BIGINT NOT NULL,
    hash    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, chain)
);

CREATE TABLE crmgate_audit (
    account      TEXT COLLATE "C" NOT NULL,
    chain        TEXT COLLATE "C" NOT NULL,
    seq          BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    request_id   TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    email        TEXT COLLATE "C" NOT NULL,
    role         TEXT COLLATE "C" NOT NULL,
    session      TEXT COLLATE "C" NOT NULL,
    device       TEXT COLLATE "C" NOT NULL,
    ip           TEXT COLLATE "C" NOT NULL,
    ip_flags     TEXT COLLATE "C" NOT NULL,
    method       TEXT COLLATE "C" NOT NULL,
    host         TEXT COLLATE "C" NOT NULL,
    path         TEXT COLLATE "C" NOT NULL,
    operation    TEXT COLLATE "C" NOT NULL,
    entity       TEXT COLLATE "C" NOT NULL,
    action       TEXT COLLATE "C" NOT NULL,
    records      TEXT COLLATE "C" NOT NULL, -- JSON array, '' when empty
    record_count BIGINT NOT NULL,
    decision     TEXT COLLATE "C" NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL,
    detail       TEXT COLLATE "C" NOT NULL,
    plan         TEXT COLLATE "C" NOT NULL,
    masked       TEXT COLLATE "C" NOT NULL, -- JSON array, '' when empty
    hidden       TEXT COLLATE "C" NOT NULL, -- JSON array, '' when empty
    dropped      BIGINT NOT NULL,
    status       BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    micros       BIGINT NOT NULL,
    prev         TEXT COLLATE "C" NOT NULL,
    hash         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, chain, seq)
);

CREATE INDEX crmgate_audit_at ON crmgate_audit (account, at);
CREATE INDEX crmgate_audit_email ON crmgate_audit (account, email, at);
CREATE INDEX crmgate_audit_request ON crmgate_audit (account, request_id);
