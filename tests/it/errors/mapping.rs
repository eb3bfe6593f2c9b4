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
