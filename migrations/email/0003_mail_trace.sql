-- Where a mail belongs in a trace (W3C Trace Context), so that handing it over shows there; null while none is recorded.
alter table mail add column traceparent text;
