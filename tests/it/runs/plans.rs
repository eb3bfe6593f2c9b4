//! How queries run: the shapes of plans on which speed and bounded memory
//! rest. What a plan looks like is read from the log of a real run.

use std::collections::BTreeMap;

use super::{GENERATED_AS_OF, generated, pipeline_of_generated};

/// What is computed once for many, a row a customer, order, day or period.
const FACTS: [&str; 8] = [
    "facts.orders",
    "facts.customers",
    "facts.customer_days",
    "facts.customer_periods",
    "facts.lifecycle_activity",
    "metrics.lifecycle_moments",
    "metrics.lifecycle_paths",
    "metrics.lifecycle_states",
];

/// The plan of each table, as the log tells it. A fact that is read on and
/// published has two: how it was computed, then how it was put in order.
fn plans() -> BTreeMap<String, Vec<String>> {
    let project = generated();
    pipeline_of_generated(&project, "engine:\n  threads: 2\n");
    let run = ["run", "pipelines/p.yaml", "--as-of", GENERATED_AS_OF];
    let output = project.command(&run).env("TENURE_LOG", "tenure::engine=debug").output();
    let output = output.expect("the binary starts");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    let mut plans: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in log.split("debug: ").skip(1) {
        let (name, plan) = part.split_once('\n').unwrap_or((part, ""));
        let lines = plan.lines().take_while(|line| line.contains("metrics=["));
        plans.entry(name.trim().into()).or_default().push(lines.collect::<Vec<_>>().join("\n"));
    }
    plans
}

/// Whether a line of a plan is about rows that lie by customer.
fn by_customer(line: &str) -> bool {
    line.contains("[customer_id@")
        || line.contains("PARTITION BY [") && line.contains("customer_id")
}

#[test]
fn facts_stream_along_the_customers() {
    let plans = plans();
    for name in FACTS {
        let found = plans.get(name).unwrap_or_else(|| panic!("no plan of {name}"));
        let plan = &found[0];
        let operators = |operator: &str| -> Vec<&str> {
            plan.lines().filter(|line| line.trim_start().starts_with(operator)).collect()
        };
        let fail = |what: &str, lines: &[&str]| panic!("{name}: {what}\n{}", lines.join("\n"));
        let spread: Vec<&str> =
            operators("RepartitionExec").into_iter().filter(|line| by_customer(line)).collect();
        if !spread.is_empty() {
            fail("orders are spread once, when they enter", &spread);
        }
        let windows = [operators("WindowAggExec"), operators("BoundedWindowAggExec")].concat();
        if windows.iter().any(|line| by_customer(line)) {
            fail("a window that looks at rows one by one", &windows);
        }
        let sorts = operators("SortExec");
        if sorts.iter().any(|line| by_customer(line)) {
            fail("a sort of what is in order but for the segments", &sorts);
        }
        if plan.contains("count(DISTINCT") {
            fail("a set a customer", &[plan]);
        }
        let reads = operators("DataSourceExec").into_iter().filter(|line| line.contains("data/"));
        assert_eq!(reads.count(), 0, "{name} reads the source again");
    }
}

#[test]
fn totals_of_customers_need_no_hash() {
    let plans = plans();
    for name in ["facts.customers", "facts.customer_margins"] {
        let plan = plans.get(name).unwrap_or_else(|| panic!("no plan of {name}")).join("\n");
        assert!(plan.contains("SegmentedAggregate"), "{name}\n{plan}");
    }
}
