//! The clustered order against the engine's own operators.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{collect, collect_partitioned};
use datafusion::prelude::SessionContext;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::engine::collect::{Collected, Collector};
use crate::engine::keys::Keys;
use crate::engine::scratch::Scratch;
use crate::engine::session;
use crate::engine::spread::partitions;
use crate::plan::EnginePlan;

/// The types in which ids come.
const IDS: [DataType; 3] = [DataType::Int64, DataType::Utf8, DataType::Utf8View];

/// Many enough for several ranges a partition.
const ROWS: usize = 200_000;

fn engine(threads: usize, memory_bytes: u64) -> EnginePlan {
    EnginePlan { memory_bytes, threads: Some(threads), scratch: None }
}

/// Order events with ties, columns of nulls, and a customer of many orders.
fn events(kind: &DataType) -> Vec<RecordBatch> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut below = |end: u64| i64::try_from(random.next_u64() % end).expect("small");
    let id = |number: i64| -> String { format!("customer-{number}") };
    let ids = |numbers: &[i64]| -> ArrayRef {
        let array: ArrayRef = match kind {
            DataType::Int64 => Arc::new(Int64Array::from(numbers.to_vec())),
            _ => Arc::new(StringArray::from_iter_values(numbers.iter().map(|n| id(*n)))),
        };
        cast(&array, kind).expect("an id")
    };
    // Some ids are far from the others, so that a slot spans more than a number.
    let spread = |id: i64| if id % 100 == 0 { (id - 20_000) << 48 } else { id - 500 };
    let mut batches = Vec::new();
    for begin in (0..ROWS).step_by(5000) {
        let customers: Vec<i64> =
            (0..5000).map(|_| if below(20) == 0 { 3 } else { spread(below(30_000)) }).collect();
        let orders: Vec<i64> = (begin..begin + 5000)
            .map(|n| i64::try_from(n).expect("small") * 7919 % 200_003)
            .collect();
        let times: Vec<i64> = (0..5000).map(|_| (below(50) - 10) * 86_400_000_000).collect();
        let refunds: Vec<bool> = (0..5000).map(|_| below(9) == 0).collect();
        // Of the first rows all alike, as of ids that are numbers.
        let ranks: Vec<i64> = (0..5000)
            .map(|_| if begin < ROWS / 2 { 0 } else { below(3) * (i64::MAX / 2) })
            .collect();
        let channels: ArrayRef = match begin % 10_000 {
            0 => new_null_array(&DataType::Utf8, 5000),
            _ => Arc::new(StringArray::from_iter((0..5000).map(|_| match below(3) {
                0 => None,
                n => Some(format!("channel {n}")),
            }))),
        };
        let columns: Vec<ArrayRef> = vec![
            ids(&orders),
            ids(&customers),
            Arc::new(TimestampMicrosecondArray::from(times)),
            channels,
            Arc::new(BooleanArray::from(refunds)),
            Arc::new(Int64Array::from(ranks)),
            new_null_array(&DataType::Decimal128(18, 2), 5000),
        ];
        batches.push(RecordBatch::try_new(schema(kind), columns).expect("a batch"));
    }
    batches
}

fn schema(id: &DataType) -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let fields = [
        ("order_id", id.clone()),
        ("customer_id", id.clone()),
        ("ordered_at", time),
        ("channel", DataType::Utf8),
        ("is_refund", DataType::Boolean),
        ("order_rank", DataType::Int64),
        ("cost", DataType::Decimal128(18, 2)),
    ];
    Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
}

/// What repartitioning and sorting by the engine give, partition by partition.
async fn expected(context: &SessionContext, batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let schema = batches[0].schema();
    let input = MemorySourceConfig::try_new_exec(&[batches.to_vec()], Arc::clone(&schema), None);
    let n = context.state().config().target_partitions();
    let hash = Partitioning::Hash(vec![col("customer_id", &schema).expect("a column")], n);
    let spread = RepartitionExec::try_new(input.expect("input"), hash).expect("a plan");
    let sorted = SortExec::new(ordering(&schema).expect("an order"), Arc::new(spread));
    together(context, Arc::new(sorted.with_preserve_partitioning(true))).await
}

async fn together(context: &SessionContext, plan: Arc<dyn ExecutionPlan>) -> Vec<RecordBatch> {
    let schema = plan.schema();
    let parts = collect_partitioned(plan, context.task_ctx()).await.expect("rows");
    parts.iter().map(|part| concat_batches(&schema, part).expect("one batch")).collect()
}

async fn collected(context: &SessionContext, batches: &[RecordBatch]) -> Collected {
    let scratch = Arc::new(Scratch::new(None).expect("a folder"));
    let collector = Arc::new(Collector::new(context, &scratch, &batches[0].schema(), &[0]));
    for batch in batches {
        collector.push(batch, &mut Vec::new()).await.expect("collected");
    }
    // The folder must outlive what is read from it.
    std::mem::forget(scratch);
    Collector::finish(collector).expect("collected")
}

fn session(threads: usize, memory: u64) -> SessionContext {
    session::open(&engine(threads, memory), std::env::temp_dir()).expect("a session")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_lie_as_repartitioning_and_sorting_would_put_them() {
    for kind in IDS {
        let batches = events(&kind);
        for threads in [1, 2, 3] {
            let context = session(threads, 1 << 30);
            let collected = collected(&context, &batches).await;
            let clustered = collected.cluster().await.expect("clustered");
            assert_eq!(clustered.pieces.len(), 1);
            let found = together(&context, Arc::new(clustered.plan())).await;
            assert!(expected(&context, &batches).await == found, "{kind} {threads}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_past_the_memory_lie_the_same() {
    for kind in IDS {
        let batches = events(&kind);
        let context = session(2, 2 << 20);
        let collected = collected(&context, &batches).await;
        let clustered = collected.cluster().await.expect("clustered");
        assert!(clustered.pieces.len() > 2, "{} pieces", clustered.pieces.len());
        let found = together(&context, Arc::new(clustered.plan())).await;
        let roomy = session(2, 1 << 30);
        assert!(expected(&roomy, &batches).await == found, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_whose_keys_repeat_are_taken_out_wherever_they_are() {
    let mut batches = events(&DataType::Int64);
    let again = batches[0].slice(10, 20);
    batches.push(again.clone());
    for memory in [1 << 30, 2 << 20] {
        let context = session(2, memory);
        let mut collected = collected(&context, &batches).await;
        let images = collected.repeats(Keys::default()).await.expect("images");
        assert_eq!(images.len(), 20);
        let mut out = Vec::new();
        let taken = collected.take_out(images, async |batch| {
            out.push(batch);
            Ok(())
        });
        taken.await.expect("taken out");
        assert_eq!(out.iter().map(RecordBatch::num_rows).sum::<usize>(), 40);
        let back = self::collected(&context, std::slice::from_ref(&again)).await;
        collected.take_in(back);
        let clustered = collected.cluster().await.expect("clustered");
        let found = together(&context, Arc::new(clustered.plan())).await;
        let roomy = session(2, 1 << 30);
        assert!(expected(&roomy, &batches[..batches.len() - 1]).await == found);
    }
}

#[tokio::test]
async fn customers_are_in_the_partition_in_which_the_engine_looks_for_them() {
    let numbers: Vec<Option<i64>> =
        (0..3000).map(|n| (n % 7 > 0).then_some(n * 1_000_003 - 77)).collect();
    let texts: Vec<Option<String>> = numbers.iter().map(|n| n.map(|n| format!("c{n}"))).collect();
    let columns: [ArrayRef; 3] = [
        Arc::new(Int64Array::from(numbers)),
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(StringViewArray::from(texts)),
    ];
    for column in columns {
        let field = Field::new("customer_id", column.data_type().clone(), true);
        let row = Field::new("row", DataType::Int64, false);
        let schema = Arc::new(Schema::new(vec![field, row]));
        let rows = Arc::new(Int64Array::from_iter_values(0..3000));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(&column), rows]);
        let batch = batch.expect("a batch");
        for n in [1, 2, 3, 7, 8, 100] {
            let mut found = Vec::new();
            partitions(&column, n, &mut found).expect("a hash");
            let batches = [vec![batch.clone()]];
            let input = MemorySourceConfig::try_new_exec(&batches, Arc::clone(&schema), None);
            let by = Partitioning::Hash(vec![col("customer_id", &schema).expect("it")], n);
            let plan = RepartitionExec::try_new(input.expect("input"), by).expect("a plan");
            let context = SessionContext::new();
            let parts = collect_partitioned(Arc::new(plan), context.task_ctx()).await;
            for (part, batches) in (0_u64..).zip(parts.expect("rows")) {
                for batch in batches {
                    let rows = batch.column(1).as_any().downcast_ref::<Int64Array>();
                    for row in rows.expect("rows").values() {
                        assert_eq!(found[usize::try_from(*row).expect("a row")], part);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn no_rows_are_no_rows() {
    let context = session(2, 1 << 30);
    let batches = [RecordBatch::new_empty(schema(&DataType::Utf8))];
    let clustered = collected(&context, &batches).await.cluster().await.expect("clustered");
    let rows = collect(Arc::new(clustered.plan()), context.task_ctx()).await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}
