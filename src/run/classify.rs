//! Which rows of a source count, and why the others do not: the queries of
//! `ingest`, as text.
//!
//! ```text
//! mapped ─► identified ─► (one pass) ─┬─► aside ─► rejected ──────┐
//!                                     │                           ▼
//!                                     ├─► suspects ─► verdicts ─► quarantine.<name>
//!                                     │                  │        ▲
//!                                     └─► rows ◄─────────┘        │
//!                                          └─► lines, refunds ────┘
//!                                               └─► sources.<name>
//! ```
//!
//! Suspects are rows whose key may stand twice; there are hardly any. What lines of
//! one order say together stands in `lines`, what refunds say of their sales in
//! `refunds`.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use chrono::NaiveDate;

use super::lines;

use crate::plan::sources::{Need, SourceKind};
use crate::plan::types::ColumnType;
use crate::plan::{Plan, Rows, SourcePlan};

/// What is not mapped but follows from the columns of an order.
pub const FOLLOWING: [&str; 4] = ["is_refund", "order_rank", "named_refunds", "named_cost"];

/// The canonical columns a row has before what follows from them is decided.
pub(super) fn columns(kind: &SourceKind) -> Vec<&'static str> {
    let names = kind.columns.iter().map(|column| column.name);
    names.filter(|name| !FOLLOWING.contains(name)).collect()
}

pub(super) fn list(names: &[&str]) -> String {
    names.join(", ")
}

/// `mapped` with ids that are one person made one, in every column that names a
/// customer.
pub fn identified(source: &SourcePlan) -> String {
    let names_a_customer =
        |name: &str| source.kind.column(name).is_some_and(|column| column.names_a_customer());
    let mut joins = String::new();
    let columns = columns(source.kind).into_iter().map(|name| {
        if !names_a_customer(name) {
            return format!("mapped.{name}");
        }
        joins += &format!(
            " left join sources.customer_ids as of_{name} on mapped.{name} = of_{name}.source_id"
        );
        format!("coalesce(of_{name}.customer_id, mapped.{name}) as {name}")
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    format!("select {columns}, mapped.reject from ingest.mapped as mapped{joins}")
}

/// Why a row is set aside: the reason, and a predicate over `identified`.
pub type Rule = (String, String);

/// The rules of a source, in the order in which they apply. `types` are the
/// types of its columns.
pub fn rules(source: &SourcePlan, plan: &Plan, types: &Schema) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for column in source.kind.columns.iter().filter(|column| column.need == Need::Required) {
        let name = column.name;
        let text = types.field_with_name(name).is_ok_and(|field| !field.data_type().is_numeric());
        let absent = match column.kind {
            ColumnType::Id | ColumnType::Text if text => format!("{name} is null or {name} = ''"),
            _ if name == "amount" && source.kind.name == "orders" => {
                // A redemption is activity without money.
                "amount is null and kind is distinct from 'redemption'".to_string()
            }
            _ => format!("{name} is null"),
        };
        rules.push((absent_reason(name), absent));
    }
    if source.kind.name == "orders" {
        let known = "kind not in ('sale', 'refund', 'redemption')";
        rules.push(("unknown_kind".into(), known.into()));
        // What stands for "no date" in some systems; calendars go no further back.
        rules.push(("impossible_time".into(), "order_date < date '1678-01-01'".into()));
        rules.extend(day_rules(plan));
    }
    rules
}

/// What one pass over a source computes: the canonical columns, the reason of
/// the pipeline's own (`reject`), whether the row is set aside at all, and
/// for orders what follows from them.
pub fn pass(source: &SourcePlan, rules: &[Rule], types: &Schema) -> String {
    let following = match is_orders(source) {
        true => format!(", {}", following(REFUND, types)),
        false => String::new(),
    };
    let columns = match is_lines(source) {
        true => lines::columns(source, types),
        false => list(&columns(source.kind)),
    };
    format!(
        "select {columns}, reject, (reject is not null or {}) as set_aside{following} \
         from ingest.identified",
        any(rules)
    )
}

/// What follows from the columns of an order that is a refund or not; no refund has
/// named it yet.
pub fn following(is_refund: &str, types: &Schema) -> String {
    format!(
        "{is_refund} as is_refund, {} as order_rank, \
         cast(null as decimal(18, 2)) as named_refunds, \
         cast(null as decimal(18, 2)) as named_cost",
        rank(types)
    )
}

/// The rank of an order among those of one instant, so that ids that are whole
/// numbers stand in the same order whether files hold numbers or texts.
fn rank(types: &Schema) -> String {
    match types.field_with_name("order_id").is_ok_and(|id| id.data_type().is_numeric()) {
        true => "cast(0 as bigint)".into(),
        false => format!("coalesce(try_cast(order_id as bigint), {})", i64::MAX),
    }
}

/// Whether any of some rules applies; never null.
pub fn any(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "false".into();
    }
    let tests = rules.iter().map(|(_, test)| format!("({test}) is true"));
    tests.collect::<Vec<_>>().join(" or ")
}

/// Rows of a piece that rules set aside, as a pass would have set them aside.
pub fn late(source: &SourcePlan, rules: &[Rule]) -> String {
    format!(
        "select {}, cast(null as varchar) as reject from ingest.piece where {}",
        list(&columns(source.kind)),
        any(rules)
    )
}

/// Rows set aside, with the first reason that applies. The pipeline's own
/// reasons come first: they know the source best.
pub fn rejected(source: &SourcePlan, rules: &[Rule]) -> String {
    format!(
        "select {}, coalesce(reject, {}) as reason from ingest.aside as aside",
        list(&columns(source.kind)),
        first(rules)
    )
}

/// The first reason that applies.
pub fn first(rules: &[Rule]) -> String {
    let whens = rules.iter().map(|(reason, test)| format!("when {test} then '{reason}'"));
    format!("case {} end", whens.collect::<Vec<_>>().join(" "))
}

/// The reason of a row in which a column is null that must be there.
pub fn absent_reason(column: &str) -> String {
    match column {
        "customer_id" => "no_customer".into(),
        "ordered_at" => "no_time".into(),
        other => format!("no_{other}"),
    }
}

/// The rules that depend on the day and the parameters of a run, and apply to
/// canonical orders alone. They come last.
pub fn day_rules(plan: &Plan) -> Vec<Rule> {
    let mut rules = other_days(plan);
    rules.extend(currency_rules(plan));
    rules
}

/// Those of them about the currency: another one than the run counts in, or none.
fn currency_rules(plan: &Plan) -> Vec<Rule> {
    let Some(currency) = plan.text("currency") else { return Vec::new() };
    let quoted = currency.replace('\'', "''");
    vec![
        ("other_currency".into(), format!("currency <> '{quoted}'")),
        ("no_currency".into(), "currency is null".into()),
    ]
}

/// Those of them about days that the run is not about.
fn other_days(plan: &Plan) -> Vec<Rule> {
    let day = |day: NaiveDate| format!("date '{day}'");
    let after = ("after_as_of".into(), format!("order_date > {}", day(plan.as_of)));
    let before = plan
        .date("history_start")
        .map(|start| ("before_history".into(), format!("order_date < {}", day(start))));
    std::iter::once(after).chain(before).collect()
}

/// The columns that may not stand twice among accepted rows; of orders, those that a
/// sale and its refunds have in common.
pub fn key(source: &SourcePlan) -> Vec<&'static str> {
    let line_id = || source.columns.is_empty() || mapped(source, "line_id");
    match (source.kind.name, source.rows) {
        ("orders", Rows::Orders) => vec!["order_id"],
        // Equal lines are real unless something tells them apart.
        ("orders", Rows::Lines) if line_id() => vec!["order_id", "line_id"],
        ("customers", _) => vec!["customer_id"],
        ("customer_ids", _) => vec!["source_id"],
        _ => Vec::new(),
    }
}

fn mapped(source: &SourcePlan, name: &str) -> bool {
    source.columns.iter().any(|mapping| mapping.column.name == name)
}

/// The columns by which a suspect is one of a kind. What takes something back is told
/// apart by its time (`moment`), too: an order, or a line of one, may come back in parts.
fn whole_key(source: &SourcePlan) -> Vec<&'static str> {
    let more: &[&str] = match (is_orders(source), is_lines(source)) {
        (true, _) => &["takes_back", "moment", "part"],
        (_, true) => &["takes_back", "moment"],
        _ => &[],
    };
    [&key(source), more].concat()
}

/// Rows of a table with all columns of the whole key, of which none is null: of rows
/// that are orders, `line_id` tells what takes something back apart (`part`).
pub fn keyed(source: &SourcePlan, table: &str) -> String {
    if source.kind.name != "orders" {
        return format!("select * from ingest.{table}");
    }
    // The sign of a line says what it is where the line does not.
    let takes_back = match is_lines(source) {
        true => "case when kind is null then amount < 0 else kind = 'refund' end",
        false => REFUND,
    };
    format!(
        "select *, case when takes_back then coalesce(cast(ordered_at as bigint), -1) else 0 end \
         as moment, case when takes_back then coalesce(line_id, '') else '' end as part \
         from (select *, coalesce({takes_back}, false) as takes_back from ingest.{table})"
    )
}

/// Keys that stand more than once. (Suspects have all columns of the key.)
pub fn repeated(source: &SourcePlan) -> String {
    let key = list(&whole_key(source));
    format!("select {key} from ingest.keyed group by {key} having count(*) > 1")
}

/// `a.x = b.x and …` for the columns of the key.
fn same_key(source: &SourcePlan, left: &str, right: &str) -> String {
    let pairs = whole_key(source).into_iter().map(|name| format!("{left}.{name} = {right}.{name}"));
    pairs.collect::<Vec<_>>().join(" and ")
}

/// Each content that stands under a repeated key: how often it does
/// (`copies`), and how many contents the key has (`contents`).
pub fn verdicts(source: &SourcePlan) -> String {
    let key = whole_key(source);
    let mut columns = columns(source.kind);
    // The others of the key follow from the columns.
    let following: Vec<&str> = key.iter().copied().filter(|name| !columns.contains(name)).collect();
    columns.extend(following);
    let qualified: Vec<String> = columns.iter().map(|name| format!("keyed.{name}")).collect();
    let (columns, qualified) = (list(&columns), qualified.join(", "));
    format!(
        "select {columns}, copies, count(*) over (partition by {}) as contents from ( \
           select {qualified}, count(*) as copies from ingest.keyed as keyed \
           left semi join ingest.repeated as repeated on {} group by {qualified} )",
        list(&key),
        same_key(source, "keyed", "repeated")
    )
}

/// Rows of a table that count: those under a key of their own, and one of equal
/// copies.
pub fn accepted(source: &SourcePlan, table: &str) -> String {
    let columns = columns(source.kind);
    let qualified: Vec<String> = columns.iter().map(|name| format!("{table}.{name}")).collect();
    format!(
        "select {} from ingest.{table} as {table} left anti join ingest.repeated as repeated \
         on {} union all select {} from ingest.verdicts where contents = 1",
        qualified.join(", "),
        same_key(source, table, "repeated"),
        list(&columns)
    )
}

/// Rows with what is not stored but follows.
pub fn with_following(rows: &str, types: &Schema) -> String {
    format!("select *, {} from ({rows})", following(REFUND, types))
}

/// Rows that do not count by the tables they are in: rejected ones are always
/// looked for, suspects where there are any, and what other modules found (`more`:
/// reason and all columns).
pub fn set_aside(source: &SourcePlan, suspects: bool, more: &[String]) -> String {
    let all = list(&columns(source.kind));
    let mut parts = vec![format!("select reason, {all} from ingest.rejected")];
    if suspects {
        parts.push(format!(
            "select reason, {all} from (select 'duplicate' as reason, {all}, \
             unnest(range(1, copies)) from ingest.verdicts where contents = 1)"
        ));
        parts.push(format!(
            "select 'contradiction' as reason, {all} from ({})",
            contradictions(&all)
        ));
    }
    parts.extend(more.iter().cloned());
    parts.join(" union all ")
}

/// Some columns of the suspects that contradict each other, each copy a row.
pub fn contradictions(columns: &str) -> String {
    format!(
        "select {columns} from (select *, unnest(range(0, copies)) from ingest.verdicts \
         where contents > 1)"
    )
}

/// Every row that does not count, numbered so that equal rows stay apart.
pub fn quarantine(source: &SourcePlan) -> String {
    let all = list(&columns(source.kind));
    format!(
        "select reason, cast(row_number() over (partition by reason order by {all}) as bigint) \
         as row_number, {all} from ingest.set_aside"
    )
}

/// Some rows that do not count, by what tells a row: the columns that must be
/// there, and those that a reason is about.
pub fn examples<'a>(
    source: &SourcePlan,
    reasons: impl Iterator<Item = &'a String>,
    days: Option<&str>,
    rows_max: usize,
) -> String {
    let about = reasons.filter_map(|reason| match reason.as_str() {
        "unknown_kind" => Some("kind"),
        "other_currency" | "no_currency" => Some("currency"),
        SALE_SET_ASIDE => Some("refund_of"),
        _ => None,
    });
    // A pipeline may give one of its own reasons the same name.
    let about: BTreeSet<&str> = about.filter(|name| source.kind.column(name).is_some()).collect();
    let required = source.kind.columns.iter().filter(|column| column.need == Need::Required);
    let names: Vec<&str> = required.map(|column| column.name).chain(about).collect();
    format!(
        "select reason, {} from quarantine.{} where {} order by row_number, reason limit {rows_max}",
        list(&names),
        source.kind.name,
        days.unwrap_or("true")
    )
}

/// The predicate of rows that are not of other days; none where a source's rows have
/// no day. A row without one counts.
pub fn days_of_the_run(source: &SourcePlan, plan: &Plan) -> Option<String> {
    (source.kind.name == "orders").then(|| {
        let other: Vec<String> = other_days(plan).into_iter().map(|(_, test)| test).collect();
        format!("({}) is not true", other.join(" or "))
    })
}

/// How many rows of those days are set aside for each reason.
pub fn reasons(source: &SourcePlan, days: &str) -> String {
    let table = source.kind.name;
    format!("select reason, count(*) as rows from quarantine.{table} where {days} group by reason")
}

/// Whether rows are orders, and go into the clustered order as they come.
pub fn is_orders(source: &SourcePlan) -> bool {
    source.kind.name == "orders" && source.rows == Rows::Orders
}

/// Whether rows are lines that become orders.
pub fn is_lines(source: &SourcePlan) -> bool {
    source.kind.name == "orders" && source.rows == Rows::Lines
}

/// Rows that do not count by reason.
pub const COUNTS: &str = "select reason, count(*) as n from ingest.set_aside group by reason";

/// The reason of a refund whose sale was set aside.
pub const SALE_SET_ASIDE: &str = "sale_set_aside";

/// Whether a row takes something back. (`is distinct from` takes all that
/// follows it for its right side: hence the parentheses.)
pub const REFUND: &str = "((kind is not distinct from 'refund') or \
    ((kind is distinct from 'redemption') and amount < 0))";
