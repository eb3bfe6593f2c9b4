//! The operators against DataFusion's own, on random histories cut into small
//! batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext, col};
use proptest::prelude::*;

use crate::engine::rules::SEGMENTED;

/// A row of a history: customer, whether a null stands in it, day, amount.
type Row = (u8, Option<i64>, i32, Option<i64>);

fn batches(rows: &[Row], size: usize) -> Vec<RecordBatch> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|(customer, _, day, _)| (*customer, *day));
    let numbered: Vec<(usize, Row)> = rows.into_iter().enumerate().collect();
    let batch = |rows: &[(usize, Row)]| {
        let customers = rows.iter().map(|(_, row)| i64::from(row.0));
        let amounts = rows.iter().map(|(_, row)| row.3.map(i128::from));
        let amounts = amounts.collect::<Decimal128Array>().with_precision_and_scale(18, 2);
        let steps = rows.iter().map(|(_, row)| i64::from(row.2 / 2));
        let columns: [(&str, ArrayRef); 7] = [
            ("customer", Arc::new(customers.collect::<Int64Array>())),
            ("number", Arc::new(rows.iter().map(|(i, _)| *i as i64).collect::<Int64Array>())),
            ("step", Arc::new(steps.collect::<Int64Array>())),
            ("value", Arc::new(rows.iter().map(|(_, row)| row.1).collect::<Int64Array>())),
            ("day", Arc::new(rows.iter().map(|(_, row)| Some(row.2)).collect::<Date32Array>())),
            ("amount", Arc::new(amounts.expect("fits"))),
            (
                "name",
                Arc::new(
                    rows.iter()
                        .map(|(_, row)| row.1.map(|value| format!("name {value}")))
                        .collect::<StringArray>(),
                ),
            ),
        ];
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, name != "number")),
        )
        .expect("columns of one length")
    };
    numbered.chunks(size).map(batch).collect()
}

fn context(rows: &[Row], size: usize, segmented: bool) -> Option<SessionContext> {
    let batches = batches(rows, size);
    let schema = batches.first()?.schema();
    let order = vec![
        vec![col("customer").sort(true, false), col("number").sort(true, false)],
        vec![col("customer").sort(true, false), col("step").sort(true, false)],
    ];
    let table = MemTable::try_new(schema, vec![batches]).expect("table").with_sort_order(order);
    let config = SessionConfig::new().with_target_partitions(1).with_batch_size(size);
    let state = SessionStateBuilder::new_with_default_features().with_config(config);
    let state = match segmented {
        true => state.with_physical_optimizer_rule(Arc::new(SEGMENTED)),
        false => state,
    };
    let context = SessionContext::new_with_state(state.build());
    context.register_table("t", Arc::new(table)).expect("fresh name");
    Some(context)
}

async fn run(context: &SessionContext, sql: &str) -> (String, String) {
    let frame = context.sql(sql).await.expect("plans");
    let plan = frame.create_physical_plan().await.expect("plans");
    let shape = displayable(plan.as_ref()).indent(false).to_string();
    let rows = collect(plan, context.task_ctx()).await.expect("runs");
    (shape, pretty_format_batches(&rows).expect("prints").to_string())
}

const FUNCTIONS: [&str; 20] = [
    "row_number()",
    "count(*)",
    "count(value)",
    "count(case when value > 1 then 1 end)",
    "sum(value)",
    "sum(amount)",
    "min(value)",
    "max(amount)",
    "min(day)",
    "lag(value)",
    "lag(name)",
    "lag(value) ignore nulls",
    "lag(name) ignore nulls",
    "lead(value)",
    "lead(day)",
    "lead(name)",
    "lead(value) ignore nulls",
    "lead(name) ignore nulls",
    "lag(amount)",
    "lead(amount) ignore nulls",
];

const RUNNING: &str = "(partition by customer order by number \
                       rows between unbounded preceding and current row)";
const WHOLE: &str = "(partition by customer order by number \
                     rows between unbounded preceding and unbounded following)";

fn windows(frame: &str) -> String {
    let whole = frame == WHOLE;
    let functions = FUNCTIONS.iter().filter(|function| {
        !whole
            || function.contains("(") && {
                ["count", "sum", "min", "max"].iter().any(|name| function.starts_with(name))
            }
    });
    let columns = functions.enumerate().map(|(i, function)| match function.split_once(" ignore") {
        Some((call, _)) => format!("{call} ignore nulls over {frame} as c{i}"),
        None => format!("{function} over {frame} as c{i}"),
    });
    format!("select number, {} from t", columns.collect::<Vec<_>>().join(", "))
}

const MOVING: &str = "select number, sum(amount) over frame as a, sum(value) over frame as v from t \
                      window frame as (partition by customer order by step \
                      range between 2 preceding and current row)";

const GROUPS: &str = "select customer, count(*), count(value), sum(value), sum(amount), \
                      min(name), max(day), count(*) filter (where value > 1) from t \
                      group by customer";

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0_u8..4, prop::option::of(0_i64..5), 0..9_i32, prop::option::of(-500_i64..500));
    prop::collection::vec(row, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn segments_give_what_datafusion_gives(rows in rows(), size in 1_usize..12) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (Some(ours), Some(theirs)) = (context(&rows, size, true), context(&rows, size, false))
        else { return Ok(()) };
        let queries = [
            (MOVING.to_string(), "SegmentedWindow"),
            (windows(RUNNING), "SegmentedWindow"),
            (windows(WHOLE), "SegmentedWindow"),
            (GROUPS.to_string(), "SegmentedAggregate"),
        ];
        for (sql, operator) in &queries {
            let (shape, found) = runtime.block_on(run(&ours, sql));
            prop_assert!(shape.contains(operator), "{shape}");
            let (shape, expected) = runtime.block_on(run(&theirs, sql));
            prop_assert!(!shape.contains("Segmented"), "{shape}");
            prop_assert_eq!(&found, &expected, "{}", sql);
        }
    }
}

/// What is not known here stays DataFusion's: another distance, a filter, a
/// frame that moves.
#[tokio::test]
async fn other_windows_are_left_alone() {
    let others = [
        "lag(value, 2)",
        "lead(value, 1, 0)",
        "sum(value) filter (where value > 1)",
        "first_value(value)",
        "rank()",
    ];
    let context = context(&[(1, Some(1), 1, None), (1, None, 2, None)], 8, true).expect("rows");
    for function in others {
        let sql = format!("select {function} over (partition by customer order by number) from t");
        let (shape, _) = run(&context, &sql).await;
        assert!(!shape.contains("Segmented"), "{function}: {shape}");
    }
    let moving = "select sum(value) over (partition by customer order by number \
                  rows between 2 preceding and current row) from t";
    assert!(!run(&context, moving).await.0.contains("Segmented"));
}

/// The rule stands last, behind the check of DataFusion's own rules.
#[test]
fn the_rule_keeps_the_schema() {
    use datafusion::physical_optimizer::PhysicalOptimizerRule;
    let empty = datafusion::physical_plan::empty::EmptyExec::new(Arc::new(
        arrow::datatypes::Schema::empty(),
    ));
    let plan = SEGMENTED.optimize(Arc::new(empty), &ConfigOptions::default()).expect("optimizes");
    assert_eq!(plan.name(), "EmptyExec");
    assert!(SEGMENTED.schema_check());
}
