//! Which rows of a source count, and why the others do not: the queries of
//! `ingest`, as text.
//!
//! ```text
//! mapped ─► identified ─► (one pass) ─┬─► aside ─► rejected ────────┐
//!                                     │                             ▼
//!                                     ├─► suspects ─► verdicts ─► quarantine.<name>
//!                                     │                  │          ▲
//!                                     └─► lines ◄────────┘ ─► torn ─┘
//!                                           └─► sources.<name>
//! ```
//!
//! Suspects are rows whose key may stand twice; there are hardly any.

use arrow::datatypes::Schema;
use chrono::NaiveDate;

use crate::plan::sources::{Need, SourceKind};
use crate::plan::types::ColumnType;
use crate::plan::{Plan, Rows, SourcePlan};

/// The canonical columns a row has before `is_refund` is decided.
pub(super) fn columns(kind: &SourceKind) -> Vec<&'static str> {
    let names = kind.columns.iter().map(|column| column.name);
    names.filter(|name| *name != "is_refund").collect()
}

pub(super) fn list(names: &[&str]) -> String {
    names.join(", ")
}

/// `mapped` with ids that are one person made one.
pub fn identified(source: &SourcePlan) -> String {
    let columns = columns(source.kind).into_iter().map(|name| match name {
        "customer_id" => {
            "coalesce(customer_ids.customer_id, mapped.customer_id) as customer_id".to_string()
        }
        name => format!("mapped.{name}"),
    });
    format!(
        "select {}, mapped.reject from ingest.mapped as mapped \
         left join sources.customer_ids as customer_ids \
         on mapped.customer_id = customer_ids.source_id",
        columns.collect::<Vec<_>>().join(", ")
    )
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
/// for orders whether it takes something back.
pub fn pass(source: &SourcePlan, rules: &[Rule]) -> String {
    let refund = match is_orders(source) {
        true => format!(", {REFUND} as is_refund"),
        false => String::new(),
    };
    format!(
        "select {}, reject, (reject is not null or {}) as set_aside{refund} \
         from ingest.identified",
        list(&columns(source.kind)),
        any(rules)
    )
}

/// Whether any of some rules applies; never null.
pub fn any(rules: &[Rule]) -> String {
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
    let whens: Vec<String> =
        rules.iter().map(|(reason, test)| format!("when {test} then '{reason}'")).collect();
    format!(
        "select {}, coalesce(reject, case {} end) as reason from ingest.aside",
        list(&columns(source.kind)),
        whens.join(" ")
    )
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
    if let Some(currency) = plan.text("currency") {
        let quoted = currency.replace('\'', "''");
        let test = format!("currency is distinct from '{quoted}'");
        rules.push(("other_currency".into(), test));
    }
    rules
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

/// The columns that may not stand twice among accepted rows.
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

/// Keys that stand more than once. (Suspects have all columns of the key.)
pub fn repeated(source: &SourcePlan) -> String {
    let key = list(&key(source));
    format!("select {key} from ingest.suspects group by {key} having count(*) > 1")
}

/// `a.x = b.x and …` for the columns of the key.
fn same_key(source: &SourcePlan, left: &str, right: &str) -> String {
    let pairs = key(source).into_iter().map(|name| format!("{left}.{name} = {right}.{name}"));
    pairs.collect::<Vec<_>>().join(" and ")
}

/// Each content that stands under a repeated key: how often it does
/// (`copies`), and how many contents the key has (`contents`).
pub fn verdicts(source: &SourcePlan) -> String {
    let columns = columns(source.kind);
    let key = key(source);
    let qualified: Vec<String> = columns.iter().map(|name| format!("suspects.{name}")).collect();
    let (columns, qualified) = (list(&columns), qualified.join(", "));
    format!(
        "select {columns}, copies, count(*) over (partition by {}) as contents from ( \
           select {qualified}, count(*) as copies from ingest.suspects as suspects \
           left semi join ingest.repeated as repeated on {} group by {qualified} )",
        list(&key),
        same_key(source, "suspects", "repeated")
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

/// Rows with what is not stored but follows: whether they take something back.
pub fn with_refund(rows: &str) -> String {
    format!("select *, {REFUND} as is_refund from ({rows})")
}

/// Orders whose lines do not agree: they name several customers, or one of them
/// (of `suspects`) stands twice with other contents.
pub fn torn(suspects: bool) -> String {
    let several = "select order_id from ingest.lines group by order_id \
                   having min(customer_id) <> max(customer_id)";
    match suspects {
        false => several.into(),
        true => format!("{several} union select order_id from ingest.verdicts where contents > 1"),
    }
}

/// Rows that do not count by the tables they are in: rejected ones are always
/// looked for, suspects and torn orders where there are any.
pub fn set_aside(source: &SourcePlan, suspects: bool, torn: bool) -> String {
    let columns = columns(source.kind);
    let all = list(&columns);
    let qualified: Vec<String> = columns.iter().map(|name| format!("lines.{name}")).collect();
    let mut parts = vec![format!("select reason, {all} from ingest.rejected")];
    if suspects {
        parts.push(format!(
            "select reason, {all} from (select 'duplicate' as reason, {all}, \
             unnest(range(1, copies)) from ingest.verdicts where contents = 1)"
        ));
        parts.push(format!(
            "select reason, {all} from (select 'contradiction' as reason, {all}, \
             unnest(range(0, copies)) from ingest.verdicts where contents > 1)"
        ));
    }
    if torn {
        parts.push(format!(
            "select 'contradiction' as reason, {} from ingest.lines as lines \
             left semi join ingest.torn as torn on lines.order_id = torn.order_id",
            qualified.join(", ")
        ));
    }
    parts.join(" union all ")
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
        "other_currency" => Some("currency"),
        _ => None,
    });
    // A pipeline may give one of its own reasons the same name.
    let about = about.filter(|name| source.kind.column(name).is_some());
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

/// Lines that go with orders whose lines do not agree.
pub const TORN_LINES: &str = "select count(*) as n from ingest.lines as lines \
    left semi join ingest.torn as torn on lines.order_id = torn.order_id";

/// Whether a row takes something back. (`is distinct from` takes all that
/// follows it for its right side: hence the parentheses.)
const REFUND: &str = "((kind is not distinct from 'refund') or \
    ((kind is distinct from 'redemption') and amount < 0))";
