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
        "max(cast(case when amount = 12.50 then 'twelve' else '1' end as bigint)) as orders",
    );
    assert_snapshot!(run(&project), @"
    error: cannot compute `facts.customers`
    --> sql/facts/customers.sql
     = cause: Cast error: Cannot cast string 'twelve' to value of Int64 type
     = help: write `try_cast` for `cast`, here or in a step that it reads: what cannot be read is null then
    exit 1
    ");
}

/// Of one customer only, so that it is always the same sum.
#[test]
fn a_sum_too_large_for_its_type_is_not_to_be_made_null() {
    let project = small_but(
        "sql/facts/customers.sql",
        "cast(sum(amount) as decimal(18,2))",
        "cast(cast(sum(amount) as decimal(38,2)) * 300000000000000 as decimal(18,2))",
    );
    assert_snapshot!(run(&project), @"
    error: cannot compute `facts.customers`
    --> sql/facts/customers.sql
     = cause: Invalid argument error: 15000000000000000.00 is too large to store in a Decimal128 of precision 18. Max is 9999999999999999.99
     = help: a number is larger than its type: look at the largest values and at the parameters, or cast to a wider type, here or in a step that it reads
    exit 1
    ");
}

#[test]
fn a_comparison_that_would_take_the_rest_along_is_refused() {
    let project = super::small_but(
        "sql/metrics/spenders.sql",
        "where orders >= $least",
        "where orders is distinct from 1 and orders >= $least",
    );
    assert_snapshot!(super::check(&project), @"
    error: `is distinct from` takes the `and` or `or` behind it along: put it in parentheses, `(a is distinct from b) and …`
      --> sql/metrics/spenders.sql:18:7
       |
    18 | where orders is distinct from 1 and orders >= $least
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}
