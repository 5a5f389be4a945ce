"""tools/check_names.py: every way in which a routine without a search_path can look up a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_names

BODY = "create procedure s.p({parameters}) language plpgsql as $$ {body} $$;"


def found(body: str, parameters: str = "") -> tuple[str, ...]:
    text = BODY.format(parameters=parameters, body=body)
    [routine] = check_names.routines(text)
    assert not routine.pinned
    return routine.findings


#: What looks up a name, and how it is told.
BAD = [
    ("perform f(1);", "function f()"),
    ("perform count(*) from s.t;", "function count()"),
    ("call q();", "function q()"),
    ("if a = 1 then commit; end if;", "operator = (op)"),
    ("if a operator(=) 1 then commit; end if;", "operator = (op)"),
    ("if 1 = any (a) then commit; end if;", "operator = (op_any)"),
    ("if 1 = all (a) then commit; end if;", "operator = (op_all)"),
    ("if a is distinct from b then commit; end if;", "operator = (distinct)"),
    ("if a is not distinct from b then commit; end if;", "operator = (not_distinct)"),
    ("if a in (1, 2) then commit; end if;", "operator = (in)"),
    ("if a not in (1, 2) then commit; end if;", "operator <> (in)"),
    ("if a in (select t.a from s.t) then commit; end if;", "operator = in"),
    ("if a < any (select t.a from s.t) then commit; end if;", "operator < in"),
    ("if a like 'x' then commit; end if;", "operator ~~ (like)"),
    ("if a ilike 'x' then commit; end if;", "operator ~~* (ilike)"),
    ("if a similar to 'x' then commit; end if;", "operator ~ (similar)"),
    ("if a between 1 and 2 then commit; end if;", "operator BETWEEN (between)"),
    ("if a between symmetric 1 and 2 then commit; end if;", "(between_sym)"),
    ("if (a, 1) < (b, 2) then commit; end if;", "operator < (op)"),
    ("a := nullif(b, 1);", "operator = (nullif)"),
    ("a := case b when 1 then 2 end;", "operator = in CASE"),
    ("case b when 1 then commit; else commit; end case;", "case with an operand"),
    ("a := b::text;", "type text"),
    ("a := cast(b as jsonb);", "type jsonb"),
    ("a := jsonb '{}';", "type jsonb"),
    ("a := 't'::pg_catalog.regclass;", "name in 't'::regclass"),
    ("a := -b;", "operator - (op)"),
    ("a[b + 1] := 2;", "operator + (op)"),
    ("a := b || 'x';", "operator || (op)"),
    ("select t.a into a from t;", "table t"),
    ("perform from s.t join u on true;", "table u"),
    ("insert into t values (1);", "table t"),
    ("update t set a = 1;", "table t"),
    ("delete from t;", "table t"),
    ("merge into t using s.u on true when matched then delete;", "table t"),
    ("with t as (select 1) insert into t values (1);", "table t"),
    ("perform * from (with t as (select 1 from t) select from t) as x;", "table t"),
    ("perform from s.t join s.u using (a);", "operator = in a join"),
    ("perform from s.t natural join s.u;", "operator = in a join"),
    ("perform t.a from s.t order by t.a using <;", "operator < in order by"),
    ('perform t.a collate "C" from s.t;', "collation C"),
    ("perform from s.t tablesample bernoulli (1);", "sampling method bernoulli"),
    ("insert into s.t values (1) on conflict (a text_ops) do nothing;", "operator class text_ops"),
    ("execute 'select 1';", "a text is executed"),
    ("for a in execute 'select 1' loop commit; end loop;", "a text is executed"),
    ("drop table t;", "DropStmt is not examined"),
    ("create table s.t ();", "CreateStmt is not examined"),
    ("for i in 1 .. b + 1 loop commit; end loop;", "operator + (op)"),
    ("for a in select t.a from t loop commit; end loop;", "table t"),
    ("while a < 1 loop commit; end loop;", "operator < (op)"),
    ("loop exit when a > 1; end loop;", "operator > (op)"),
    ("foreach a in array f() loop commit; end loop;", "function f()"),
    ("if true then commit; elsif a > 1 then commit; else perform f(); end if;", "function f()"),
    ("if true then commit; elsif a > 1 then commit; end if;", "operator > (op)"),
    ("raise exception '%', a || 'x';", "operator || (op)"),
    ("raise exception using message = f();", "function f()"),
    ("assert a > 1;", "operator > (op)"),
    ("return; exception when others then perform f();", "function f()"),
]


@pytest.mark.parametrize(("statements", "told"), BAD, ids=[statements for statements, _ in BAD])
def test_a_name_without_a_schema_is_found(statements: str, told: str) -> None:
    body = f"declare a bigint[]; b bigint; begin {statements} end"
    assert any(told in finding for finding in found(body)), found(body)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("a text", "type text"),
        ("a text[]", "type text"),
        ("a record", "type record of a"),
        ("a t%rowtype", "type t"),
        ("a t.b%type", "type t.b%type"),
        ("a bigint := f()", "function f()"),
        ("a bigint default 1 + 1", "operator + (op)"),
        ("a cursor for select * from t", "table t"),
        ("a cursor (b text) for select 1", "type text"),
        ('a pg_catalog.text collate "C"', "not examined"),
    ],
)
def test_a_declaration_counts(declared: str, told: str) -> None:
    said = found(f"declare {declared}; begin commit; end")
    assert any(told in finding for finding in said), said


def test_parameters_and_results_count() -> None:
    assert found("begin commit; end", "a text") == ("type text",)
    assert found("begin commit; end", "a integer default f()") == ("function f()",)
    [routine] = check_names.routines(
        "create function s.f(a integer) returns table (b text) language sql as 'select a';"
    )
    assert routine.findings == ("type text",)
    # As the catalog prints it, where types have no schema; what is in the body counts there too.
    text = BODY.format(parameters="a text", body="declare b jsonb; begin commit; end")
    [routine] = check_names.routines(text, header=False)
    assert routine.findings == ("type jsonb",)


def test_functions_in_sql_count() -> None:
    for body in ("as 'select f()'", "begin atomic select f(); end", "return f()"):
        [routine] = check_names.routines(
            f"create function s.g() returns integer language sql {body};"
        )
        assert routine.findings == ("function f()",)
    [routine] = check_names.routines(
        "create function s.g() returns integer language c as 'x', 'y';"
    )
    assert routine.findings == ("language c: not examined",)


GOOD = """
declare
    v_a pg_catalog.text := 'x'; v_b bigint[]; v_r pg_catalog.record; v_t s.t%rowtype; v_c s.t.a%type;
begin
    for v_r in with recursive x as (select 1 as n union all select x.n from x), y as (select from x) select x.* from x, y loop
        commit;
    end loop;
    v_a := coalesce(v_a, greatest(v_a, 'x'), case when v_a is null then 'y' else null end);
    v_b[1] := 2;
    if v_a operator(pg_catalog.=) 'x' and not v_a operator(pg_catalog.=) any (array['a', 'b']) and v_a is not null then
        perform pg_catalog.count(*) from s.t where exists (select from s.u) order by 1;
        perform 's.t'::pg_catalog.regclass, v_a::bigint, interval '1 s', current_user, extract(year from v_c);
    end if;
    update s.t as x set a = 1 where x.a is null returning x.a into v_c;
    call s.q(v_a, p_b => 1);
    for v_n in 1 .. 3 loop exit when v_b is null; end loop;
    raise exception using errcode = 'RC001', message = v_a;
exception when unique_violation then
    rollback;
end
"""


def test_what_is_qualified_has_no_finding() -> None:
    assert found(GOOD, "p_a pg_catalog.text, p_b interval default interval '1 second'") == ()


def test_a_routine_with_a_path_is_not_examined() -> None:
    text = "create function s.f(a text) returns text language sql set search_path = pg_catalog, pg_temp as 'select f()';"
    assert [(r.name, r.pinned, r.findings) for r in check_names.routines(text)] == [
        ("s.f", True, ())
    ]


def test_main(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.sql").write_text(BODY.format(parameters="", body="begin perform f(); end"))
    assert check_names.main([str(tmp_path)]) == 1
    assert "p.sql: s.p: function f()" in capsys.readouterr().out
    (tmp_path / "p.sql").write_text(BODY.format(parameters="", body="begin perform s.f(); end"))
    assert check_names.main([str(tmp_path)]) == 0


SPOTTED = [
    ("select f();", "PS016"),
    ("create table s.t (a integer check (a > 0));", "PS001"),
    ("do $$ begin perform f(); end $$;", "PS016"),
    ("create schema if not exists s;", "PS010"),
    ("create function s.g() returns integer language sql security definer as 'select 1';", "PS003"),
    ("create function s.g() returns integer language sql as 'select 1';", "PS005"),
]


@pytest.mark.parametrize(("statement", "code"), SPOTTED)
def test_pgspot_is_asked(tmp_path: Path, statement: str, code: str) -> None:
    script = tmp_path / "x.sql"
    script.write_text(statement)
    assert any(code in line for line in check_names.spot(script, set()))


def test_pgspot_lets_pass_what_is_proved_otherwise(tmp_path: Path) -> None:
    script = tmp_path / "x.sql"
    script.write_text(
        "create procedure s.p(a pg_catalog.text default 'x') language plpgsql as $$ declare\n"
        "    v_t recovery.task;\nbegin v_t.key := a; commit; end $$;"
    )
    assert check_names.spot(script, {"s.p"}) == []
    assert check_names.spot(script, set()) != []


def test_this_tree() -> None:
    assert check_names.main([]) == 0
