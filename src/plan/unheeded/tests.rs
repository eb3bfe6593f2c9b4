//! What the planner reads over is found where it stands, and nothing else.

use datafusion::sql::sqlparser::parser::Parser;

use super::*;

/// What is found in a query, and where it stands.
fn found(sql: &str) -> Option<(&'static str, String)> {
    let statements = Parser::parse_sql(&GenericDialect {}, sql);
    let statements = statements.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let found = unheeded(&statements[0])?;
    let (place, _) = found.told(sql);
    let (start, end) = (place.start.column as usize, place.end.column as usize);
    assert!(start > 0 && end >= start, "{sql}: {place:?}");
    Some((found.words[0], sql[start - 1..end - 1].to_string()))
}

#[test]
fn what_the_planner_leaves_out_is_found_where_it_stands() {
    for (sql, at) in [
        ("select a from t tablesample (10 percent)", "tablesample"),
        ("select a from t tablesample bernoulli (10)", "tablesample"),
        ("select a from (select a from t) as s tablesample (1 rows)", "tablesample"),
        ("select a from t for update", "for update"),
        ("select a from t for share", "for share"),
        ("select a from t order by a for update skip locked", "for update"),
        ("select a from (select a from t for update) as s", "for update"),
        ("select a from t fetch first 3 rows with ties", "fetch first"),
        ("select a from t settings max_threads = 1", "settings"),
        ("select a from t format JSONCompact", "format"),
        ("select a from t prewhere a = 1", "prewhere"),
        ("select a from t connect by prior a = b", "connect by"),
        ("select a, sum(b) from t group by a with rollup", "with rollup"),
        ("select a into u from t", "into"),
        ("select upper(distinct a) from t", "distinct"),
        ("select round(a) filter (where b > 1) from t", "filter"),
        ("select abs(a) over (order by b) from t", "over"),
        ("select coalesce(a, b) ignore nulls from t", "ignore nulls"),
        ("select sum(a) ignore nulls over (order by b) from t", "ignore nulls"),
        ("select row_number() filter (where a > 1) over (order by b) from t", "filter"),
        ("select lag(distinct a) over (order by b) from t", "distinct"),
        ("select corr(distinct a, b) from t", "distinct"),
        ("select cast(a as varchar(3)) from t", "varchar"),
        ("select a::char(3) from t", "char"),
        ("select a from t where exists (select 1 from u tablesample (1 rows))", "tablesample"),
    ] {
        let found = found(sql).unwrap_or_else(|| panic!("passes unseen: {sql}"));
        assert_eq!(found.1, at, "{sql}");
    }
}

#[test]
fn what_has_an_effect_passes() {
    for sql in [
        "select a from t limit 3 offset 1",
        "select distinct on (a) a, b from t order by a, b",
        "select a from t order by all",
        "select a, sum(b) filter (where c > 1) from t group by rollup (a)",
        "select count(distinct a), string_agg(a, ',' order by a) from t",
        "select first_value(a) ignore nulls over (order by b) from t",
        "select lag(a) respect nulls over (order by b) from t",
        "select sum(a) over (partition by b order by c rows between 1 preceding and current row) from t",
        "select a from t qualify row_number() over (order by a) = 1",
        "select cast(a as varchar), cast(b as decimal(18,2)), b::double, date '2024-01-01' from t",
        "select substring(a from 1 for 2), trim(both 'x' from a) from t",
        "with x (a, b) as (select 1, 2) select * exclude (b) from x as y (c, d)",
        "select percentile_cont(0.5) within group (order by a) from t",
        "select unnest([1, 2]) as a",
    ] {
        assert!(found(sql).is_none(), "{sql}: {:?}", found(sql));
    }
}
