//! Bad input: each case with the message it gives and the exit code. A message
//! says what, where, why and the next move; reading it here beside the input
//! is the review.

/// Grain, checks and rows set aside: exit code 3, and nothing is published.
mod audits;
/// Commands and flags.
mod commands;
/// Queries that are sound and fail on the rows they meet.
mod computing;
/// Text files that are not what their source says.
mod fixes;
mod formats;
/// A model's header against its query.
mod headers;
/// Two runs at once, and a run that is told to stop.
mod locks;
/// Expressions over the columns of a source.
mod mapping;
/// One `.sql` file: its query and what it may not do.
mod models;
/// Who reads whom.
mod order;
/// Values of parameters, in YAML and on the command line.
mod parameters;
/// What a pipeline says.
mod pipelines;
/// Runs that cannot be gone on with.
mod retries;
/// Rule files that leave gaps or overlap.
mod rules;
/// Files that rows should come from.
mod sources;
/// Where tables should go, and what the engine may use.
mod targets;
/// The pipeline file as YAML.
mod yaml;

use crate::project::{Outcome, Project};

/// A project of three small models, sound as it stands.
fn small() -> Project {
    let project = Project::new();
    project
        .file("sql/params.yaml", PARAMS)
        .file("sql/staging/orders.sql", STAGING)
        .file("sql/facts/customers.sql", FACTS)
        .file("sql/metrics/spenders.sql", METRICS)
        .file("sql/checks/money_is_earned.sql", CHECK)
        .orders("orders/o.parquet", ORDERS)
        .pipeline("facts.customers, metrics.spenders", "");
    project
}

/// The small project with one text replaced by another in one file.
fn small_but(file: &str, from: &str, to: &str) -> Project {
    let project = small();
    change(&project, file, from, to);
    project
}

/// Replaces a text that must be there.
fn change(project: &Project, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(project.path(file)).expect("a file");
    assert!(text.contains(from), "{file} has no {from}");
    project.file(file, &text.replacen(from, to, 1));
}

/// `tenure check` of the project's pipeline.
fn check(project: &Project) -> String {
    said(&project.tenure(&["check", "pipelines/p.yaml"]))
}

/// `tenure run` of the project's pipeline, which must fail.
fn run(project: &Project) -> String {
    run_with(project, &[])
}

/// The same with more arguments. Whatever fails, nothing is published.
fn run_with(project: &Project, more: &[&str]) -> String {
    let arguments = [&["run", "pipelines/p.yaml", "--as-of", "2024-06-30"], more].concat();
    let outcome = project.tenure(&arguments);
    assert_ne!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(project.published(), [], "nothing is published");
    said(&outcome)
}

/// What a person sees: the streams and the exit code, without what differs
/// from run to run.
fn said(outcome: &Outcome) -> String {
    let is_progress = |line: &str| line.contains(" rows ") && line.ends_with(" s");
    let lines = outcome.stdout.lines().chain(outcome.stderr.lines());
    let lines = lines.filter(|line| !is_progress(line));
    let mut lines: Vec<&str> = lines.map(str::trim_end).collect();
    let code = format!("exit {}", outcome.code);
    lines.push(&code);
    lines.join("\n")
}

const ORDERS: &str = "\
order_id,customer_id,ordered_at,amount
1,7,2024-01-05T10:00:00,20.00
2,7,2024-03-02T10:00:00,30.00
3,8,2024-05-11T10:00:00,12.50
";

const PARAMS: &str = "\
as_of: { type: date }
least: { type: int, default: 1, doc: orders from which somebody is listed }
grade: { type: text, default: gold, one_of: [gold, silver] }
";

const STAGING: &str = "\
-- staging.orders: the orders that count.
--
-- grain   order_id
-- reads   sources.orders
-- params  none
--
-- order_id     id             the order
-- customer_id  id             who ordered
-- order_date   date           its day
-- amount       decimal(18,2)  money

select
    order_id,
    customer_id,
    order_date,
    amount

from sources.orders
";

const FACTS: &str = "\
-- facts.customers: everyone who ever bought.
--
-- grain   customer_id
-- reads   staging.orders
-- params  as_of
--
-- customer_id   id             who
-- orders        bigint         how many orders
-- revenue       decimal(18,2)  their money
-- recency_days  bigint         days since the last

select
    customer_id,

    count(*) as orders,
    cast(sum(amount) as decimal(18,2)) as revenue,
    $as_of - max(order_date) as recency_days

from staging.orders

group by customer_id
";

const METRICS: &str = "\
-- metrics.spenders: who brings the most?
--
-- grain   customer_id
-- reads   facts.customers
-- params  grade, least
--
-- customer_id  id             who
-- revenue      decimal(18,2)  their money
-- grade        text           the word for it

select
    customer_id,
    revenue,
    $grade as grade

from facts.customers

where orders >= $least
";

const CHECK: &str = "\
-- checks.money_is_earned: nobody brings less than nothing.
--
-- reads   facts.customers
-- params  none

select
    customer_id,
    revenue

from facts.customers

where revenue < 0
";
