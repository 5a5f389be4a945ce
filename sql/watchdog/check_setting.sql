-- Times are not left to PostgreSQL's own parser: it takes a number without unit for seconds, `m` for minutes or
-- months, and prints by the session's intervalstyle.
create or replace function recovery.check_setting(p_name text, p_value text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    c_pair  constant text := '([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*'
        '(us|ms|s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])\s*';
    c_clock constant text := '([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{1,6})?)$';
    v_value text := lower(btrim(p_value, E' \t\r\n'));
    v_hint  text := 'Allowed is a time up to 365 days with its units (ms, s, min, h, days), '
        'such as 90s, 10 min, 1 h 30 min or 00:10:00; ';
    v_why   text := '';
    v_clock text[];
    v_days  numeric := 0;
    v_secs  numeric := 0;
begin
    case
        when p_name in ('tool_timeout', 'task_timeout', 'idle_timeout', 'wall_timeout') then
            v_hint := v_hint || '0 or off for no limit.';
            v_value := case v_value when 'off' then '0' else v_value end;
        when p_name in ('propagation_grace', 'cancel_grace') then
            v_hint := v_hint || '0 for none.';
        when p_name in ('event_retention', 'history_retention') then
            v_hint := v_hint || '0 or off to keep them for ever.';
            v_value := case v_value when 'off' then '0' else v_value end;
        when p_name in ('idle_roots', 'unowned_expected', 'drop_unread') then
            v_hint := 'Allowed are true (on) and false (off).';
        else
            perform recovery._fail('RC010',
                format('setting %s is not known', coalesce(quote_literal(left(p_name, 60)), 'null')),
                'There are tool_timeout, task_timeout, idle_timeout, wall_timeout, propagation_grace, cancel_grace, '
                'idle_roots, unowned_expected, event_retention, history_retention and drop_unread.');
    end case;
    if v_value is null or v_value = '' then
        return null;
    elsif p_name in ('idle_roots', 'unowned_expected', 'drop_unread') then
        if v_value in ('true', 'on', 'false', 'off') then
            return (v_value in ('true', 'on'))::text;
        end if;
    elsif v_value = '0' or v_value ~ ('^(' || c_pair || ')+$') or v_value ~ ('^(' || c_pair || ')*' || c_clock) then
        select coalesce(sum(m[1]::numeric * case when m[2] ~ '^w' then 7 else 1 end) filter (where m[2] ~ '^[dw]'), 0),
               coalesce(sum(m[1]::numeric * case when m[2] = 'us' then 0.000001 when m[2] = 'ms' then 0.001
                                                 when m[2] ~ '^s' then 1 when m[2] ~ '^m' then 60
                                                     else 3600 end) filter (where m[2] !~ '^[dw]'), 0)
        into v_days, v_secs
        from regexp_matches(v_value, c_pair, 'g') as m;
        v_clock := regexp_match(v_value, c_clock);
        if v_clock is not null then
            v_secs := v_secs + v_clock[1]::numeric * 3600 + v_clock[2]::numeric * 60 + v_clock[3]::numeric;
        end if;
        v_secs := round(v_secs + (v_days - trunc(v_days)) * 86400, 6);
        v_days := trunc(v_days);
        if v_days * 86400 + v_secs > 365 * 86400 then
            v_why := ', which is more than 365 days';
        elsif v_days = 0 and v_secs = 0 and v_value ~ '[1-9]' then
            v_why := ', which is less than a microsecond';
        elsif v_days = 0 and v_secs = 0 and (p_name like '%timeout' or p_name like '%retention') then
            return 'off';
        else
            return concat_ws(' ',
                case v_days when 0 then null when 1 then '1 day' else v_days || ' days' end,
                case when v_secs <> 0 or v_days = 0
                    then rtrim(rtrim(to_char(make_interval(secs => v_secs::double precision), 'HH24:MI:SS.US'), '0'),
                    '.') end);
        end if;
    elsif v_value ~ '^[0-9.]+$' then
        v_why := ', a number without a unit';
    elsif v_value ~ '^-' or v_value ~ '\mago$' then
        v_why := ', which is negative';
    elsif v_value ~ '(^|[^a-z])(m|mons?|months?|y|yrs?|years?)($|[^a-z])' then
        v_why := ', whose unit has no fixed length or is not clear';
    end if;
    perform recovery._fail('RC010',
        format('setting %s cannot be %s%s', p_name, quote_literal(left(p_value, 60)), v_why), v_hint);
    return null;
end
$$;

comment on function recovery.check_setting(text, text) is
    'The value of a setting as it would be stored, and nothing stored; null for null or an empty one. RC010: no such '
    'setting, or the value is not allowed.';

revoke all on function recovery.check_setting(text, text) from public;
