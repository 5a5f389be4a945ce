create or replace function recovery._withdraw_deletion(p_watch text, p_key text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    -- The last event of this session and no other: who calls this can take back what it has just said, at most.
    -- By its partition: the others may be emptied meanwhile.
    if p_key is not null then
        v_id := currval('recovery.outbox_id_seq');
        execute format(
            'delete from recovery.outbox_slot_%s as e where e.id = $1 and e.watch = $2 and e.key = $3 '
            'and e.kind = ''deleted'' and e.detector = ''writer''', v_id / 2000000000 % 4)
            using v_id, p_watch, p_key;
    end if;
end
$$;

comment on function recovery._withdraw_deletion(text, text) is
    'A row that was told as deleted a moment ago has moved to another partition: removes that event, which nobody has '
    'seen yet.';

revoke all on function recovery._withdraw_deletion(text, text) from public;
