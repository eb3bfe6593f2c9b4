//! The ranged sort against a sort of the rows in memory.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringViewArray,
};
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::TableReference;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::{DataFrame, SessionContext, col};

use super::*;
use crate::engine::scratch::Scratch;
use crate::engine::session;
use crate::plan::EnginePlan;

/// Enough for several ranges.
const ROWS: i64 = 250_000;

/// Batches by a customer whose ids have nothing to do with the order id: some
/// ids null, some far away, some alike.
fn batches(kind: &DataType) -> Vec<RecordBatch> {
    let batch = |start: i64| {
        let numbers = start..(start + 9_000).min(ROWS);
        let id = |n: i64| match n % 1_000 {
            0 => None,
            1 => Some(i64::MIN + n),
            2 => Some(77),
            _ => Some(n * 7_919 % 250_007 + 1_000_000),
        };
        let ids: ArrayRef = match kind {
            DataType::Int64 => Arc::new(numbers.clone().map(id).collect::<Int64Array>()),
            _ => Arc::new(
                numbers
                    .clone()
                    .map(|n| id(n).map(|id| format!("order-of-the-shop-{id}")))
                    .collect::<StringViewArray>(),
            ),
        };
        let amounts = numbers.clone().map(|n| (n % 5 > 0).then_some(i128::from(n % 997)));
        let columns: [(&str, ArrayRef); 6] = [
            ("customer", Arc::new(numbers.clone().map(|n| n / 7).collect::<Int64Array>())),
            ("id", cast(&ids, kind).expect("an id")),
            ("number", Arc::new(numbers.clone().collect::<Int64Array>())),
            ("shop", Arc::new(numbers.clone().map(|_| 7).collect::<Int64Array>())),
            ("amount", Arc::new(amounts.collect::<Decimal128Array>())),
            ("is_odd", Arc::new(numbers.map(|n| Some(n % 2 == 1)).collect::<BooleanArray>())),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
    };
    (0..ROWS).step_by(9_000).map(batch).collect()
}

async fn keep(
    kind: &DataType,
    memory: u64,
    threads: usize,
    packs: bool,
) -> (SessionContext, Scratch) {
    let scratch = Scratch::new(None).expect("a folder");
    if packs {
        scratch.pack();
    }
    let engine = EnginePlan { memory_bytes: memory, threads: Some(threads), scratch: None };
    let context = session::open(&engine, scratch.spill()).expect("a session");
    let rows = context.read_batches(batches(kind)).expect("rows");
    let spread = rows
        .repartition(datafusion::logical_expr::Partitioning::Hash(vec![col("customer")], threads));
    let plan = spread.expect("a plan").create_physical_plan().await.expect("a plan");
    let name = TableReference::bare("kept");
    scratch.keep(&context, name, plan).await.expect("kept");
    (context, scratch)
}

async fn by_key(context: &SessionContext, keys: &[&str]) -> (String, Vec<RecordBatch>) {
    let frame: DataFrame = context.table("kept").await.expect("kept");
    let keys = keys.iter().map(|key| col(*key).sort(true, false)).collect();
    let plan = frame.sort(keys).expect("a plan").create_physical_plan().await.expect("a plan");
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    (shown, collect(plan, context.task_ctx()).await.expect("rows"))
}

/// The rows by a key, sorted all at once.
fn expected(kind: &DataType, keys: &[&str]) -> RecordBatch {
    let all = batches(kind);
    let all = concat_batches(&all[0].schema(), &all).expect("one table");
    let options = Some(SortOptions { descending: false, nulls_first: false });
    let columns: Vec<SortColumn> =
        keys.iter().map(|key| SortColumn { values: Arc::clone(&all[*key]), options }).collect();
    take_record_batch(&all, &lexsort_to_indices(&columns, None).expect("sorted")).expect("rows")
}

#[tokio::test]
async fn rows_come_in_the_order_of_their_key() {
    for kind in [DataType::Int64, DataType::Utf8View] {
        let expected = expected(&kind, &["id", "number"]);
        for (memory, threads, packs) in
            [(1 << 30, 2, false), (32 << 20, 3, true), (1 << 30, 1, false)]
        {
            let (context, _scratch) = keep(&kind, memory, threads, packs).await;
            let (plan, rows) = by_key(&context, &["id", "number"]).await;
            assert!(plan.starts_with("RangedSort"), "{plan}");
            let rows = concat_batches(&expected.schema(), &rows).expect("one table");
            assert_eq!(rows.num_rows(), expected.num_rows());
            assert_eq!(rows, expected, "{kind}, {threads} threads, {memory} bytes");
        }
    }
}

#[tokio::test]
async fn a_single_key_may_stand_twice() {
    let (context, _scratch) = keep(&DataType::Int64, 1 << 30, 2, false).await;
    let (_, rows) = by_key(&context, &["id"]).await;
    let expected = expected(&DataType::Int64, &["id"]);
    let rows = concat_batches(&expected.schema(), &rows).expect("one table");
    assert_eq!(&rows["id"], &expected["id"]);
}

#[tokio::test]
async fn other_sorts_stay_as_they_are() {
    let (context, _scratch) = keep(&DataType::Int64, 1 << 30, 2, false).await;
    for keys in [["amount", "id"], ["is_odd", "id"]] {
        let (plan, _) = by_key(&context, &keys).await;
        assert!(!plan.contains("RangedSort"), "{plan}");
    }
}

#[tokio::test]
async fn ids_that_begin_alike_are_cut_where_they_differ() {
    // Two prefixes: what tells ids apart comes after what ranks are made of.
    let kept = |n: i64| {
        let shop = if n % 2 == 0 { "retail-shop" } else { "online-shop" };
        format!("{shop}-{:06}", n * 7_919 % 250_007)
    };
    let scratch = Scratch::new(None).expect("a folder");
    // So little that a range of half the rows would not fit.
    let engine = EnginePlan { memory_bytes: 64 << 20, threads: Some(2), scratch: None };
    let context = session::open(&engine, scratch.spill()).expect("a session");
    let batch = |start: i64| {
        let ids = (start..start + 5_000).map(|n| Some(kept(n))).collect::<StringViewArray>();
        RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef)]).expect("a column")
    };
    let batches = (0..ROWS).step_by(5_000).map(batch);
    let plan = context.read_batches(batches).expect("rows").create_physical_plan().await;
    let name = TableReference::bare("kept");
    scratch.keep(&context, name, plan.expect("a plan")).await.expect("kept");
    let (plan, rows) = by_key(&context, &["id"]).await;
    assert!(plan.starts_with("RangedSort"), "{plan}");
    let mut expected: Vec<String> = (0..ROWS).map(kept).collect();
    expected.sort();
    let found: Vec<String> = rows
        .iter()
        .flat_map(|batch| batch["id"].as_string_view().iter().flatten().map(str::to_string))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_id_in_half_of_the_rows_is_left_to_a_general_sort() {
    let scratch = Scratch::new(None).expect("a folder");
    let engine = EnginePlan { memory_bytes: 64 << 20, threads: Some(2), scratch: None };
    let context = session::open(&engine, scratch.spill()).expect("a session");
    let id = |n: i64| if n % 2 == 0 { 77 } else { n * 7_919 % 250_007 };
    let batch = |start: i64| {
        let numbers = start..start + 5_000;
        let ids = Arc::new(numbers.clone().map(id).map(Some).collect::<Int64Array>());
        let numbers = Arc::new(numbers.map(Some).collect::<Int64Array>());
        RecordBatch::try_from_iter([("id", ids as ArrayRef), ("number", numbers as ArrayRef)])
            .expect("columns of one length")
    };
    let batches = (0..ROWS).step_by(5_000).map(batch);
    let plan = context.read_batches(batches).expect("rows").create_physical_plan().await;
    let name = TableReference::bare("kept");
    scratch.keep(&context, name, plan.expect("a plan")).await.expect("kept");
    let (plan, rows) = by_key(&context, &["id", "number"]).await;
    assert!(plan.starts_with("RangedSort"), "{plan}");
    let mut expected: Vec<(i64, i64)> = (0..ROWS).map(|n| (id(n), n)).collect();
    expected.sort_unstable();
    let found: Vec<(i64, i64)> = rows
        .iter()
        .flat_map(|batch| {
            let column = |name: &str| batch[name].as_primitive::<Int64Type>().values().to_vec();
            column("id").into_iter().zip(column("number"))
        })
        .collect();
    assert_eq!(found, expected);
}
