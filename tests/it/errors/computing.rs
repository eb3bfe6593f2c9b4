//! Queries that are sound and fail on the rows they meet.

use insta::assert_snapshot;

use super::{run, small_but};

#[test]
fn a_division_by_zero_is_placed_and_has_a_way_out() {
    let project = small_but(
        "sql/facts/customers.sql",
        "count(*) as orders",
        "count(*) / (count(*) - count(*)) as orders",
    );
    assert_snapshot!(run(&project), @"
    error: cannot compute `facts.customers`
    --> sql/facts/customers.sql
     = cause: Divide by zero error
     = help: divide by `nullif(…, 0)`, here or in a step that it reads: without a divisor the result is null then
    exit 1
    ");
}

#[test]
fn a_cast_that_fails_is_placed_and_has_a_way_out() {
    let project = small_but(
        "sql/facts/customers.sql",
        "count(*) as orders",
        "max(cast(cast(customer_id as varchar) || 'x' as bigint)) as orders",
    );
    assert_snapshot!(run(&project), @"
    error: cannot compute `facts.customers`
    --> sql/facts/customers.sql
     = cause: Cast error: Cannot cast string '7x' to value of Int64 type
     = help: write `try_cast` for `cast`, here or in a step that it reads: what cannot be read is null then
    exit 1
    ");
}
