create or replace function recovery._check_after(p_after bigint)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_after is null or p_after < 0 then
        perform recovery._fail('RC010', format('after %s is not allowed', coalesce(p_after::text, 'null')),
            'Give the id of an event, or 0 for the first one that is kept.');
    end if;
    -- A higher one than there are belongs to a state of the database that was lost. What is dropped is no gap.
    return greatest(least(p_after, coalesce(pg_sequence_last_value('recovery.outbox_id_seq'), 0) + 99),
                    (select f.id from recovery.event_floor as f));
end
$$;

comment on function recovery._check_after(bigint) is
    'The id after which to read: as it was given, but not above the last event that there is, nor among those that '
    'were dropped. RC010: null or negative.';

revoke all on function recovery._check_after(bigint) from public;
