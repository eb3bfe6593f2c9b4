//! Expressions over the columns of a source that cannot be computed of a row.

use insta::assert_snapshot;

use super::{change, run, small};
use crate::project::Project;

/// The small project over a CSV file, one column mapped by an expression.
fn mapped(amount: &str) -> Project {
    let project = small();
    std::fs::remove_file(project.path("orders/o.parquet")).expect("a file");
    let source = format!(
        "url: orders\n    format: csv\n    columns:\n      order_id: Invoice\n      \
         customer_id: Customer\n      ordered_at: Date\n      amount: {amount}"
    );
    change(&project, "pipelines/p.yaml", "url: orders", &source);
    project.file("orders/o.csv", "Invoice,Customer,Date,Quantity,Price\n1,7,2024-01-05,2,3.50\n");
    project
}

#[test]
fn texts_are_no_numbers_until_they_are_cast() {
    assert_snapshot!(run(&mapped("cast(Quantity * Price as decimal(18,2))")), @"
    error: the expression does not plan: Cannot coerce arithmetic expression Utf8 * Utf8 to valid types
      --> pipelines/p.yaml:10:15
       |
    10 |       amount: cast(Quantity * Price as decimal(18,2))
       |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `Price`, `Quantity`: text, as every column of a CSV file is; say what it is meant to be, such as `try_cast(Price as decimal(18,2))`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    assert_snapshot!(run(&mapped("round(Price, 2)")), @"
    error: the expression does not plan: Function 'round' failed to match any signature
      --> pipelines/p.yaml:10:15
       |
    10 |       amount: round(Price, 2)
       |               ^^^^^^^^^^^^^^^
       |
       = help: `Price`: text, as every column of a CSV file is; say what it is meant to be, such as `try_cast(Price as decimal(18,2))`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_expression_is_over_one_row() {
    assert_snapshot!(run(&mapped("sum(cast(Price as decimal(18,2)))")), @"
    error: `sum` takes many rows, and here is one row of a file
      --> pipelines/p.yaml:10:15
       |
    10 |       amount: sum(cast(Price as decimal(18,2)))
       |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write an expression over the columns of one row; sums are for models

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_expression_has_no_parameters() {
    assert_snapshot!(run(&mapped("cast(Price as decimal(18,2)) * $least")), @"
    error: parameters such as `$least` are for models, not for sources
      --> pipelines/p.yaml:10:15
       |
    10 |       amount: cast(Price as decimal(18,2)) * $least
       |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write its value, or take this step in a model under `sql/staging`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_predicate_compares_what_is_alike() {
    let project = mapped("cast(Price as decimal(18,2))");
    change(
        &project,
        "pipelines/p.yaml",
        "    columns:",
        "    reject:\n      free: Price <= 0\n    columns:",
    );
    assert_snapshot!(run(&project), @"
    error: cannot tell whether `free` sets a row of source `orders` aside
    --> [TMP]/orders/o.csv
     = reject: Price <= 0
     = cause: Cast error: Cannot cast string '3.50' to value of Int64 type
     = help: say in the predicate what a text is meant to be, such as `try_cast(price as decimal(18,2)) <= 0`: what cannot be read is null then, and earns no reason
    exit 1
    ");
}

#[test]
fn a_day_of_another_form_is_told_how_to_say_it() {
    let project = mapped("cast(Price as decimal(18,2))");
    change(&project, "orders/o.csv", "2024-01-05", "05/01/2024");
    assert_snapshot!(run(&project), @"
    error: `05/01/2024` in `ordered_at` of source `orders` is not a time
    --> [TMP]/orders/o.csv
     = column: Date
     = help: say how it is written, such as `ordered_at: to_date(Date, '%d/%m/%Y')`; else correct the file, or map `ordered_at: try_cast(Date as date)`: what cannot be read is null then, and the row is set aside as `no_time` (`reject:` does not keep a conversion from failing)
    exit 1
    ");
    change(&project, "orders/o.csv", "05/01/2024", "05/01/2024 10:30");
    assert!(run(&project).contains("to_timestamp(Date, '%d/%m/%Y %H:%M')"));
}

/// Digits are a day or a number of seconds; taken for the other they would be
/// days of 1970.
#[test]
fn a_time_of_digits_is_told_how_to_say_it() {
    for (digits, mapping) in [
        ("20240105", "`ordered_at: to_date(Date, '%Y%m%d')`"),
        ("1704448800", "`ordered_at: to_timestamp(cast(Date as bigint))`"),
        ("1704448800000", "`ordered_at: to_timestamp_millis(cast(Date as bigint))`"),
    ] {
        let project = mapped("cast(Price as decimal(18,2))");
        change(&project, "orders/o.csv", "2024-01-05", digits);
        let said = run(&project);
        assert!(said.contains(&format!("say how it is written, such as {mapping}")), "{said}");
    }
}

/// The small project whose times are those of a clock on a wall in Berlin.
fn in_berlin(time: &str) -> Project {
    let project = mapped("cast(Price as decimal(18,2))");
    let local = "ordered_at: cast(Date as timestamp) at time zone 'Europe/Berlin'";
    change(&project, "pipelines/p.yaml", "ordered_at: Date", local);
    change(&project, "orders/o.csv", "2024-01-05", time);
    project
}

#[test]
fn an_hour_that_clocks_skip_is_told_with_a_way_to_read_it() {
    let project = in_berlin("2024-03-31 02:30:00");
    assert_snapshot!(run(&project), @"
    error: `2024-03-31T02:30:00` in `ordered_at` of source `orders` is not a time in Europe/Berlin
    --> [TMP]/orders/o.csv
     = mapped: cast(Date as timestamp) at time zone 'Europe/Berlin'
     = cause: clocks there skip it
     = help: write `coalesce(try_cast(cast(Date as timestamp) || ' Europe/Berlin' as timestamptz), cast(cast(Date as timestamp) || '+01:00' as timestamptz))` for `cast(Date as timestamp) at time zone 'Europe/Berlin'`: what clocks skip or show twice is read as +01:00 then
    exit 1
    ");
    // Which is what it says.
    let read = "coalesce(try_cast(cast(Date as timestamp) || ' Europe/Berlin' as timestamptz), \
                cast(cast(Date as timestamp) || '+01:00' as timestamptz))";
    let local = "cast(Date as timestamp) at time zone 'Europe/Berlin'";
    change(&project, "pipelines/p.yaml", local, read);
    let outcome = project.run("2024-06-30");
    assert!(!outcome.stderr.contains("set aside"), "{}", outcome.stderr);
}

#[test]
fn an_hour_that_clocks_show_twice_is_told_with_a_way_to_read_it() {
    let project = in_berlin("2023-10-29 02:30:00");
    let said = run(&project);
    let (first, rest) = said.split_once('\n').expect("lines");
    assert_snapshot!(first, @"error: `2023-10-29T02:30:00` in `ordered_at` of source `orders` is not one time in Europe/Berlin, but two");
    assert!(rest.contains("= cause: clocks there show it twice\n"), "{said}");
    assert!(rest.contains("is read as +01:00 then\n"), "{said}");
}

/// As the guide says under "Local times".
#[test]
fn what_clocks_skip_or_show_twice_is_read_as_standard_time() {
    let project = Project::new();
    project.pipeline("facts.orders", "params:\n  timezone: Europe/Berlin\n");
    let source = "url: orders\n    format: csv\n    columns:\n      order_id: Id\n      customer_id: \
                  Id\n      ordered_at: coalesce(try_cast(Clock || ' Europe/Berlin' as timestamptz), \
                  cast(Clock || '+01:00' as timestamptz))\n      amount: Price";
    change(&project, "pipelines/p.yaml", "url: orders", source);
    let rows = "Id,Clock,Price\n1,2024-03-31 02:30:00,1\n2,2024-10-27 02:30:00,1\n\
                3,2024-06-01 00:30:00,1\n";
    project.file("orders/o.csv", rows);
    project.run("2024-12-31");
    let mut orders = project.rows("facts.orders", &["order_id", "ordered_at", "order_date"]);
    orders.sort();
    assert_snapshot!(orders.join("\n"), @"
    1 2024-03-31T01:30:00 2024-03-31
    2 2024-10-27T01:30:00 2024-10-27
    3 2024-05-31T22:30:00 2024-06-01
    ");
}

#[test]
fn a_text_in_double_quotes_is_told_to_stand_in_single_ones() {
    let project = mapped("cast(Price as decimal(18,2))");
    let reject = "    reject:\n      free: Customer == \"cancelled\"\n    columns:";
    change(&project, "pipelines/p.yaml", "    columns:", reject);
    assert_snapshot!(run(&project), @r#"
    error: source `orders` has no column `cancelled`
     --> pipelines/p.yaml:7:13
      |
    7 |       free: Customer == "cancelled"
      |             ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = note: its files have Invoice, Customer, Date, Quantity, Price
      = help: a text stands in single quotes, `'cancelled'`; double ones name a column

    error: 1 problem in 1 file; nothing was run
    exit 2
    "#);
}

#[test]
fn every_column_has_a_name_of_its_own() {
    let project = mapped("cast(Price as decimal(18,2))");
    change(&project, "orders/o.csv", "Quantity,Price", "Price,Price");
    assert_snapshot!(run(&project), @"
    error: two columns are called `Price`
    --> [TMP]/orders/o.csv
     = help: give each a name of its own in the header line; a file without such a line needs one
    exit 1
    ");
}

#[test]
fn what_changes_by_itself_is_no_mapping() {
    for expression in ["cast(random() * 100 as decimal(18,2))", "amount * date_part('day', now())"]
    {
        let project = small();
        project.pipeline("facts.customers", "");
        let columns = format!(
            "    url: orders\n    columns:\n      order_id: order_id\n      \
             customer_id: customer_id\n      ordered_at: ordered_at\n      amount: {expression}\n"
        );
        change(&project, "pipelines/p.yaml", "    url: orders\n", &columns);
        let said = run(&project);
        let name = if expression.contains("random") { "random" } else { "now" };
        assert!(said.contains(&format!("error: `{name}` may not be used in a source")), "{said}");
        assert!(said.contains("the same files must give the same rows, on any day"), "{said}");
    }
}

#[test]
fn a_text_that_is_no_time_is_told_as_it_is_mapped() {
    let project = small();
    let row =
        "{\"order_id\": 1, \"customer_id\": 7, \"ordered_at\": \"05/01/2024\", \"amount\": 1}\n";
    project.file("in/o.json", row);
    change(&project, "pipelines/p.yaml", "url: orders", "url: in\n    format: json");
    assert_snapshot!(run(&project), @"
    error: `05/01/2024` in `ordered_at` of source `orders` is not a time
    --> [TMP]/in/o.json
     = column: ordered_at
     = help: say how it is written, such as `ordered_at: to_date(ordered_at, '%d/%m/%Y')`; else correct the file, or map the columns under `columns:`, this one as `ordered_at: try_cast(ordered_at as date)`: what cannot be read is null then, and the row is set aside as `no_time` (`reject:` does not keep a conversion from failing)
    exit 1
    ");
}
