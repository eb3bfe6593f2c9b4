//! Texts that are too deep, too long, or not what they seem.

use std::time::{Duration, Instant};

use insta::assert_snapshot;

use super::small;
use crate::project::{Outcome, Project};

const FACTS: &str = "sql/facts/customers.sql";
const PIPELINE: &str = "pipelines/p.yaml";

/// Replaces a text that must be there.
fn change(project: &Project, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(project.path(file)).expect("a file");
    assert!(text.contains(from), "{file} has no {from}");
    project.file(file, &text.replacen(from, to, 1));
}

/// `tenure check`, which must end soon.
fn check(project: &Project) -> Outcome {
    let begun = Instant::now();
    let outcome = project.tenure(&["check", PIPELINE]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    outcome
}

fn refused(project: &Project) -> String {
    let outcome = check(project);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    outcome.stderr
}

fn accepted(project: &Project) {
    let outcome = check(project);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

#[test]
fn an_error_at_a_letter_of_several_bytes_is_told_there() {
    for (broken, file) in [
        ("url: [é", PIPELINE),
        ("url: \"Größe", PIPELINE),
        ("ü: [\u{1F600}", PIPELINE),
        ("url: \u{1F600}: \u{1F600}", PIPELINE),
        ("é\turl: 'ß", PIPELINE),
        ("url: @é", PIPELINE),
        ("url: `ß`", PIPELINE),
        ("url: %ß", PIPELINE),
    ] {
        let project = small();
        change(&project, file, "url: orders", broken);
        refused(&project);
    }
    for broken in ["é§", "max('é') ü", "'ß", "\u{1F600}", "\"é", "max(é)"] {
        let project = small();
        change(&project, FACTS, "count(*)", broken);
        refused(&project);
    }
    let project = small();
    change(&project, FACTS, "who\n", "wér ß \u{1F600}\n");
    change(&project, FACTS, "-- reads   staging.orders", "-- réads   staging.örders");
    refused(&project);
}

#[test]
fn long_expressions_are_read_and_longer_ones_refused() {
    let sum = |count: usize| vec!["orders"; count].join(" + ");
    let expression = |text: &str| {
        let project = small();
        change(
            &project,
            "sql/metrics/spenders.sql",
            "orders >= $least",
            &format!("({text}) > 0 and orders >= $least"),
        );
        project
    };
    accepted(&expression(&sum(300)));
    accepted(&expression(&format!("length({})", vec!["'a'"; 600].join(" || "))));
    let or = vec!["orders = 1"; 800].join(" or ");
    accepted(&expression(&format!("case when {or} then 1 else 0 end")));
    let message = refused(&expression(&sum(2_000)));
    assert!(message.contains("more than 500 operators of arithmetic"), "{message}");
    let message = refused(&expression(&format!("length({})", vec!["'a'"; 20_000].join(" || "))));
    assert!(message.contains("more than 2500 operators"), "{message}");
    refused(&expression(&vec!["orders"; 200_000].join(" - ")));
    refused(&expression(&format!("orders{}", "::bigint".repeat(50_000))));
    refused(&expression(&format!("{}orders{}", "(".repeat(5_000), ")".repeat(5_000))));
    let message = refused(&expression(&format!("{}orders{}", "abs(".repeat(200), ")".repeat(200))));
    assert!(message.contains("nested too deep"), "{message}");
    refused(&expression(&format!("{}orders", "not ".repeat(50_000))));
    refused(&expression(&format!("{}orders", "- ".repeat(50_000))));
    let many = vec!["select customer_id, revenue from facts.customers"; 5_000];
    let project = small();
    change(
        &project,
        "sql/metrics/spenders.sql",
        "from facts.customers",
        &format!("from ({}) as x", many.join(" union all ")),
    );
    let message = refused(&project);
    assert!(message.contains("`union`"), "{message}");
}

#[test]
fn expressions_of_a_pipeline_may_be_as_long_and_no_longer() {
    let pipeline = |reject: &str, amount: &str| {
        let project = small();
        let text = format!(
            "    url: orders\n    columns:\n      order_id: order_id\n      customer_id: \
             customer_id\n      ordered_at: ordered_at\n      amount: {amount}\n    reject:\n      \
             odd: {reject}\n"
        );
        change(&project, PIPELINE, "    url: orders\n", &text);
        project
    };
    let long = vec!["amount"; 100].join(" + ");
    let many = vec!["amount = -3"; 800].join(" or ");
    let project = pipeline(&many, &format!("({long}) / 100"));
    accepted(&project);
    project.run("2024-06-30");
    assert_eq!(project.rows("metrics.spenders", &["customer_id"]).len(), 2);
    let longer = vec!["amount"; 2_000].join(" + ");
    refused(&pipeline(&format!("({longer}) < 0"), "amount"));
    let message = refused(&pipeline("amount < 0", &longer));
    assert!(message.contains("operators of arithmetic"), "{message}");
}

#[test]
fn maps_within_maps_are_refused_at_their_place() {
    let deep = |open: &str, close: &str, times: usize| {
        let project = small();
        let text = format!("url: {}x{}", open.repeat(times), close.repeat(times));
        change(&project, PIPELINE, "url: orders", &text);
        project
    };
    for (open, close) in [("{a: ", "}"), ("[", "]"), ("[{a: ", "}]")] {
        for times in [100, 3_000, 50_000] {
            let message = refused(&deep(open, close, times));
            assert!(message.contains("nested") || message.contains("not valid"), "{message}");
        }
    }
    let lines: String = (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let project = small();
    project.file(PIPELINE, &lines);
    let message = refused(&project);
    assert!(message.contains("nested more than 64 deep"), "{message}");
    assert!(message.contains("p.yaml:65:"), "{message}");
}

#[test]
fn a_megabyte_of_a_name_takes_no_time() {
    let name = "x".repeat(1_000_000);
    for (file, from) in [
        (PIPELINE, "url: orders"),
        (PIPELINE, "tables: [facts.customers"),
        (PIPELINE, "publish:"),
        ("sql/params.yaml", "least"),
        (FACTS, "max(channel)"),
        (FACTS, "count(*)"),
        (FACTS, "from staging.orders"),
        (FACTS, "staging.orders\n-- params"),
        (FACTS, "-- channel "),
        (FACTS, "text "),
    ] {
        for to in [
            format!("{name}: 1\n    url: orders"),
            name.clone(),
            format!("{name}(*)"),
            format!("staging.{name}\n-- params"),
            format!("-- {name} "),
        ] {
            let project = small();
            change(&project, file, from, &to);
            refused(&project);
        }
    }
}

/// Many problems in one long text: each is shown with its line and not with the text.
#[test]
fn many_mistakes_are_told_soon() {
    let project = small();
    let keys: String = (0..5_000).map(|key| format!("  unknown_key_{key}: {key}\n")).collect();
    change(&project, PIPELINE, "publish:\n", &format!("publish:\n{keys}"));
    refused(&project);
}

#[test]
fn words_without_an_effect_are_refused_in_a_model() {
    let project = small();
    change(
        &project,
        FACTS,
        "from staging.orders\n",
        "from staging.orders tablesample (10 percent)\n",
    );
    assert_snapshot!(refused(&project));
    let project = small();
    change(&project, FACTS, "group by customer_id\n", "group by customer_id\n\nfor update\n");
    assert_snapshot!(refused(&project));
    let project = small();
    change(&project, FACTS, "max(channel)", "lower(distinct max(channel))");
    assert_snapshot!(refused(&project));
}

#[test]
fn words_without_an_effect_are_refused_in_a_mapping() {
    let project = small();
    let text = "    url: orders\n    columns:\n      order_id: order_id\n      customer_id: \
                customer_id\n      ordered_at: ordered_at\n      amount: round(distinct amount, 2)\n    \
                reject:\n      odd: abs(amount) filter (where amount > 3) > 1\n";
    change(&project, PIPELINE, "    url: orders\n", text);
    assert_snapshot!(refused(&project));
}

#[test]
fn a_function_makes_no_more_than_there_is_room_for() {
    let project = small();
    change(&project, FACTS, "max(channel)", "repeat(max(channel), 1000000000)");
    accepted(&project);
    let outcome = project.tenure(&["run", PIPELINE, "--as-of", "2024-06-30"]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("`repeat` would make"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("facts.customers"), "{}", outcome.stderr);
}
