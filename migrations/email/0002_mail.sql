-- Who gets mail, which mails there are, and which of them still have to be handed over.

-- Customers as this service needs them: its own small copy, fed by customer.registered and customer.changed.
create table recipient (
    customer_id uuid   not null,
    name        text   not null,
    email       text   not null,
    -- The event that said so. An older one that arrives later changes nothing.
    sequence    bigint not null,

    constraint recipient_pkey primary key (customer_id)
);

-- The log of mails: what each is about and what became of it.
-- Nothing that changes is indexed except where a mail had trouble, so recording that one was sent touches no index; the
-- room that this needs next to the row is left by the fill factor, and kept small by moving the html out of the row early.
create table mail (
    -- UUIDv7, so that its order is the order in which the mails were queued.
    id             uuid        not null,
    -- What set it off. With the template it names the mail, here and in the Message-ID.
    event_id       uuid        not null,
    template       text        not null,
    order_id       uuid,
    -- Whose; null for the mails to the operators.
    customer_id    uuid,
    correlation_id text        not null,
    -- Kept, because its domain comes from the configuration, and a second sending must carry the same.
    message_id     text        not null,
    -- What the event said, as far as the template needs it. json, not jsonb: it is only ever read as a whole.
    data           json        not null,
    status         text        not null default 'queued',
    -- How often it was handed over, counting those of which the answer was lost.
    attempts       smallint    not null default 0,
    -- Where it went the last time; until then it goes wherever the recipient is.
    recipient      text,
    -- Why it is not sent. Never holds an address.
    error          text,
    created_at     timestamptz not null default now(),
    -- When the last answer, or its loss, was recorded.
    answered_at    timestamptz,
    -- As it was handed over: the templates may change afterwards.
    html           text,

    constraint mail_pkey primary key (id),
    -- The second line behind the inbox, which forgets.
    constraint mail_event_template unique (event_id, template),
    constraint mail_status check (status in ('queued', 'in-doubt', 'sent', 'failed')),
    -- Lists of mails in trouble look for this first: see mail_trouble.
    constraint mail_trouble_has_error check (status in ('queued', 'sent') or error is not null)
) with (fillfactor = 50, toast_tuple_target = 1024);

create index mail_order on mail (order_id) where order_id is not null;
create index mail_customer on mail (customer_id, id) where customer_id is not null;
create index mail_trouble on mail (id) where error is not null;

-- A fifth of the time that the default takes; servers built without it keep the default.
do $$
begin
    alter table mail alter column html set compression lz4;
exception when feature_not_supported then
    null;
end
$$;

-- The mails that still have to be handed over: what the senders work from. A row goes when its mail is sent or given up.
-- There is no foreign key: rows of both tables are only ever made together, and the check would lock the mail's row.
create table delivery (
    mail_id    uuid        not null,
    -- The customer whose address is not known yet; the mail waits until it is.
    waits_for  uuid,
    due_at     timestamptz not null default now(),
    -- The sender that holds it, and since when. A sender is one run of the service: a number from sender_number on which
    -- its session holds an advisory lock. A claim whose sender's lock is free was left behind: perhaps handed over.
    sender     integer,
    claimed_at timestamptz,

    constraint delivery_pkey primary key (mail_id),
    constraint delivery_claim check ((sender is null) = (claimed_at is null))
) with (fillfactor = 70,
        -- Rows come and go: the dead ones are to be cleared by their number, not by a share of the table.
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index delivery_due on delivery (due_at) where waits_for is null;
create index delivery_waiting on delivery (waits_for) where waits_for is not null;

create sequence sender_number as integer cycle;
