-- The tables of the messaging crate. Every service has the same ones in its own database: a test compares the copies.

-- What happened, in the order in which it was written. One table is the outbox (the relay publishes from it), the audit
-- trail and the history of each subject. Rows are only ever added; getting an event out changes nothing here.
create table event (
    -- Handed out before the commit, so it orders the rows but does not tell which are new: see follower.
    -- Not cached per session, so that the order of positions is the order of writing within one subject.
    position       bigint generated always as identity (cache 1),
    -- The transaction that wrote the row, by which followers tell what they have not seen yet.
    xid            xid8        not null default pg_current_xact_id(),
    id             uuid        not null,
    subject        text        not null,
    sequence       bigint      not null,
    type           text        not null,
    version        smallint    not null,
    time           timestamptz not null,
    correlation_id text        not null,
    causation_id   text,
    traceparent    text,
    -- json, not jsonb: the text stays as it was published.
    data           json        not null,

    constraint event_pkey primary key (position),
    -- The optimistic lock of an aggregate: two writers cannot both append its next event. It also serves its history.
    constraint event_subject_sequence unique (subject, sequence),
    constraint event_sequence_from_1 check (sequence >= 1),
    -- What a message may weigh; the same limit as contracts::event::MAX_EVENT_BYTES.
    constraint event_data_size check (octet_length(data::text) <= 262144)
);

create index event_xid on event (xid) include (position);

-- For finding an event by its id, and those since a time: ids are UUIDv7, so each part of the table holds a range of them.
create index event_id on event using brin (id) with (autosummarize = on);

-- How far each reader of the log has come. A reader takes a snapshot as the end of a window, reads the rows that this
-- snapshot sees and the previous one did not, by position, and then makes it the previous one. So a row is read once,
-- however late its transaction commits, and nobody waits for a long transaction that writes elsewhere.
create table follower (
    name              text        not null,
    prev              pg_snapshot not null,
    -- The window that is being read, and the last position read in it; null between windows.
    next              pg_snapshot,
    position          bigint      not null default 0,
    -- Transaction ids mean something on this server only. A dump restored into another must not be followed on from here.
    system_identifier bigint      not null,
    updated_at        timestamptz not null default now(),

    constraint follower_pkey primary key (name)
);

-- Events that no queue took although the catalogue names consumers, with all later ones of their subjects: published
-- again, oldest first, until a queue takes them.
create table set_aside (
    position bigint      not null,
    subject  text        not null,
    since    timestamptz not null default now(),

    constraint set_aside_pkey primary key (position)
);

-- The events that took effect here. A row is written in the transaction of the effect, so a second delivery finds it.
create table inbox (
    id          uuid        not null,
    received_at timestamptz not null default now(),

    constraint inbox_pkey primary key (id)
);

create index inbox_received_at on inbox (received_at);

-- Redelivered messages whose handling has begun and not ended: one that is still here three times over kills its consumer.
create table attempt (
    id         uuid        not null,
    starts     integer     not null,
    started_at timestamptz not null default now(),

    constraint attempt_pkey primary key (id)
);

-- Events that became dead letters here, so that the service can tell an event that failed from one that never came. The
-- messages themselves are in the broker's queue SERVICE.dead; one that takes effect later has its row in the inbox as well.
create table dead_letter (
    id        uuid        not null,
    failed_at timestamptz not null default now(),

    constraint dead_letter_pkey primary key (id)
);
