-- Streams of any number of networks. Times are milliseconds since 1970, lengths are microseconds.
-- `term` counts who led the indexing, `version` the steps that were told of.
CREATE TABLE networks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    last_num bigint,
    last_id text,
    created bigint NOT NULL,
    irreversible bigint NOT NULL,
    term bigint NOT NULL,
    version bigint NOT NULL
);
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network bigint NOT NULL REFERENCES networks (id),
    name text COLLATE "C" NOT NULL,
    created bigint NOT NULL,
    UNIQUE (network, name)
);
CREATE TABLE streams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network bigint NOT NULL REFERENCES networks (id),
    account bigint NOT NULL REFERENCES accounts (id),
    link text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    network_number bigint NOT NULL,
    created bigint NOT NULL,
    last_updated bigint NOT NULL,
    first_streamed bigint,
    last_streamed bigint,
    finalized integer,
    head integer,
    ended boolean NOT NULL,
    storage text NOT NULL,
    l2 text,
    live_key text,
    gateway text,
    also text NOT NULL,
    UNIQUE (account, link)
);
-- An index for each order of lists, so that a page costs the same anywhere in one. Only accounts with streams are searched,
-- and only streams that have not ended may be live.
CREATE INDEX streams_newest ON streams (network, created, network_number);
CREATE INDEX streams_live ON streams (network, last_streamed, network_number) WHERE NOT ended;
CREATE INDEX streams_author ON streams (account, created, network_number);
CREATE INDEX accounts_streaming ON accounts (network, name) WHERE created > 0;
-- No foreign key, which a bulk load would check row by row: only a leader writes, and it takes pushes and their stream away
-- together.
CREATE TABLE pushes (
    stream bigint NOT NULL,
    seq integer NOT NULL,
    src text NOT NULL,
    len bigint,
    discontinuity boolean NOT NULL,
    p240 text,
    p480 text,
    p720 text,
    p1080 text,
    PRIMARY KEY (stream, seq)
);
-- The changes of reversible blocks, as JSON.
CREATE TABLE undo (
    network bigint NOT NULL REFERENCES networks (id),
    num bigint NOT NULL,
    changes bytea NOT NULL,
    PRIMARY KEY (network, num)
);
-- What the last steps tell, as JSON, for processes that read beside the leader.
CREATE TABLE news (
    network bigint NOT NULL REFERENCES networks (id),
    version bigint NOT NULL,
    told bytea NOT NULL,
    PRIMARY KEY (network, version)
);
