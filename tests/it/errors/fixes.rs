//! `tenure check --fix`: headers written anew, and what it leaves alone.

use insta::assert_snapshot;

use super::{change, said, small, small_but};
use crate::project::Project;

const METRICS: &str = "sql/metrics/spenders.sql";
const FACTS: &str = "sql/facts/customers.sql";

/// What `check` complains about in a header, `check --fix` writes.
#[test]
fn a_header_can_be_written_anew() {
    let project = small_but(METRICS, "    revenue,\n", "    orders,\n    revenue,\n");
    change(&project, METRICS, "params  grade, least", "params  grade");
    change(&project, FACTS, "orders        bigint", "orders        double");
    let fixed = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert_eq!(fixed.code, 0, "{}", fixed.stderr);
    let rewritten: Vec<&str> =
        fixed.stdout.lines().filter(|line| line.starts_with("rewrote")).collect();
    assert_snapshot!(rewritten.join("\n"), @"
    rewrote the header of sql/facts/customers.sql
    rewrote the header of sql/metrics/spenders.sql
    ");
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let (header, _) = text.split_once("\n\n").expect("a header");
    assert_snapshot!(header, @"
    -- metrics.spenders: who brings the most?
    --
    -- grain   customer_id
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             who
    -- orders       bigint         (say what it means)
    -- revenue      decimal(18,2)  their money
    -- grade        text           the word for it
    ");
    let again = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert!(!said(&again).contains("rewrote"), "the second time there is nothing to do");
}

/// The small project with another head before the query of `metrics.spenders`,
/// lines ending as told, after `check --fix`: what that says, and the file.
fn fixed(head: &str, end: &str) -> (String, String) {
    let project = small();
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let query = text[text.find("select").expect("a query")..].replace('\n', end);
    project.file(METRICS, &format!("{head}{query}"));
    let said = said(&project.tenure(&["check", "pipelines/p.yaml", "--fix"]));
    assert!(said.contains("rewrote the header of sql/metrics/spenders.sql"), "{said}");
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let header = text.strip_suffix(&format!("{end}{end}{query}"));
    let header = header.unwrap_or_else(|| panic!("the query is another:\n{text}")).to_string();
    project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    let again = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    assert_eq!(again, text, "the second time there is nothing to do");
    (said, header)
}

#[test]
fn a_header_is_written_before_a_bare_query() {
    let (said, header) = fixed("", "\n");
    assert_snapshot!(header, @"
    -- metrics.spenders: (say what it is)
    --
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             (say what it means)
    -- revenue      decimal(18,2)  (say what it means)
    -- grade        text           (say what it means)
    ");
    // Which columns name a row, only its author knows.
    assert!(said.contains("the header of `metrics.spenders` states no grain"), "{said}");
    assert!(said.contains("error: 1 problem in 1 file"), "{said}");
}

#[test]
fn a_header_without_empty_lines_keeps_its_lists() {
    let (said, header) = fixed("-- metrics.spenders: who?\n-- grain customer_id\n", "\n");
    assert_snapshot!(header, @"
    -- metrics.spenders: who?
    --
    -- grain   customer_id
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             (say what it means)
    -- revenue      decimal(18,2)  (say what it means)
    -- grade        text           (say what it means)
    ");
    assert!(said.ends_with("exit 0"), "{said}");
}

#[test]
fn words_that_are_no_header_stay() {
    let head = "\
-- my table
-- grain  customer_id
-- reads  facts.customers (of the day)
--
-- revenue  money  what they pay
-- orders   bigint  how often
--
-- Ask before you change this.
";
    let (said, header) = fixed(head, "\n");
    assert_snapshot!(header, @"
    -- metrics.spenders: my table
    --
    -- grain   customer_id
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             (say what it means)
    -- revenue      decimal(18,2)  (say what it means)
    -- grade        text           (say what it means)
    --
    -- reads  facts.customers (of the day)
    --
    -- revenue  money  what they pay
    -- orders   bigint  how often
    --
    -- Ask before you change this.
    ");
    assert!(said.ends_with("exit 0"), "{said}");
}

#[test]
fn a_header_ends_its_lines_as_the_query_does() {
    let (said, header) = fixed("\u{feff}-- who?\r\n-- grain  customer_id\r\n", "\r\n");
    assert!(said.ends_with("exit 0"), "{said}");
    assert!(header.starts_with("\u{feff}-- metrics.spenders: who?\r\n--\r\n"), "{header:?}");
    assert_eq!(header.matches('\n').count(), header.matches("\r\n").count(), "{header:?}");
}

#[test]
fn what_no_header_can_describe_is_left_alone() {
    let more = "    revenue,\n    cast(orders as int) as orders,\n    orders + 1,\n";
    let project = small_but(METRICS, "    revenue,\n", more);
    let before = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    assert_snapshot!(said(&project.tenure(&["check", "pipelines/p.yaml", "--fix"])), @"
    error: the query of `metrics.spenders` gives `orders` the type Int32, which no header knows
      --> sql/metrics/spenders.sql:14:10
       |
    14 |     cast(orders as int) as orders,
       |          ^^^^^^
       |
       = help: cast it: types are text, bigint, double, boolean, date, timestamp, decimal(p,s)

    error: the query of `metrics.spenders` gives a column `facts.customers.orders + Int64(1)`, which no header can name
     --> sql/metrics/spenders.sql:1:1
      |
    1 | -- metrics.spenders: who brings the most?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: name it in one word: `… as name`

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
    assert_eq!(std::fs::read_to_string(project.path(METRICS)).expect("a file"), before);
}

#[test]
fn a_query_without_a_header_that_does_not_plan_says_why() {
    let project = small();
    project.file("sql/metrics/bare.sql", "select customer_id, nett from facts.customers\n");
    let fixed = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert_snapshot!(super::said(&fixed), @"
    error: no column `nett`
     --> sql/metrics/bare.sql:1:21
      |
    1 | select customer_id, nett from facts.customers
      |                     ^^^^
      |
      = help: known: customer_id, orders, revenue, recency_days

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_id_has_the_type_of_an_id_whatever_it_is_called() {
    let project = small();
    project.file(
        "sql/metrics/bare.sql",
        "select customer_id as buyer, count(*) as n_id from facts.customers group by customer_id\n",
    );
    project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    let text = std::fs::read_to_string(project.path("sql/metrics/bare.sql")).expect("a file");
    assert_snapshot!(text, @"
    -- metrics.bare: (say what it is)
    --
    -- reads   facts.customers
    -- params  none
    --
    -- buyer  id      (say what it means)
    -- n_id   bigint  (say what it means)

    select customer_id as buyer, count(*) as n_id from facts.customers group by customer_id
    ");
}

#[test]
fn headers_of_the_standard_models_need_no_fixing() {
    let project = Project::with_models();
    project.orders("orders/o.parquet", super::ORDERS);
    project.pipeline("facts.customers", "");
    let fixed = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert_eq!(fixed.code, 0, "{}", fixed.stderr);
    assert!(!fixed.stdout.contains("rewrote"), "{}", fixed.stdout);
}

#[test]
fn a_query_over_ids_that_are_texts_is_described() {
    let project = small();
    let query = "select substr(customer_id, 1, 1) as first, count(*) as n from facts.customers \
                 group by 1\n";
    project.file("sql/metrics/bare.sql", query);
    project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    let text = std::fs::read_to_string(project.path("sql/metrics/bare.sql")).expect("a file");
    assert!(text.contains("-- first  text    (say what it means)\n-- n      bigint"), "{text}");
}
