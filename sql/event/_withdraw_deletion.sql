create or replace function recovery._withdraw_deletion(p_watch text, p_key text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The last event of this session and no other: who calls this can take back what it has just said, at most.
    if p_key is not null then
        delete from recovery.outbox as e
        where e.id = currval('recovery.outbox_id_seq') and e.watch = p_watch and e.key = p_key and e.kind = 'deleted'
            and e.detector = 'writer';
    end if;
end
$$;

comment on function recovery._withdraw_deletion(text, text) is
    'A row that was told as deleted a moment ago has moved to another partition: removes that event, which nobody has '
    'seen yet.';

revoke all on function recovery._withdraw_deletion(text, text) from public;
