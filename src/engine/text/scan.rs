//! Text files as an operator: each file read by one task from its beginning to
//! its end, so that lines have numbers and nothing is cut within a value.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::{bytes, csv, json};
use crate::engine::files::{FilesTable, TableFile};
use crate::plan::{CsvStyle, FileFormat};

/// The metric that counts the records of files, apart from the rows that their
/// parser gave.
const RECORDS: &str = "records";

/// Records of all text files that a plan has read to their ends; none where it
/// reads no text.
pub fn records(plan: &dyn ExecutionPlan) -> Option<u64> {
    if plan.name() == TextScan::NAME {
        let counted = plan.metrics().and_then(|metrics| metrics.sum_by_name(RECORDS));
        return Some(counted.map_or(0, |counted| counted.as_usize() as u64));
    }
    let below = plan.children().into_iter().filter_map(|child| records(child.as_ref()));
    below.reduce(|all, more| all + more)
}

/// Which format a text has.
#[derive(Debug, Clone, Copy)]
enum Format {
    Csv(CsvStyle),
    Json,
}

/// Reads text files.
#[derive(Debug)]
pub struct TextScan {
    reader: Arc<Reader>,
    /// The files of each partition.
    groups: Vec<Vec<TableFile>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TextScan {
    const NAME: &'static str = "TextScan";

    /// A scan of some columns of a table, by their places in it; none where its
    /// files are no texts.
    ///
    /// # Errors
    /// A place is beyond the last column.
    pub fn new(
        table: &FilesTable,
        whole: &SchemaRef,
        projection: Option<&Vec<usize>>,
        partitions: usize,
    ) -> Result<Option<Self>> {
        let format = match table.format {
            FileFormat::Csv(style) => Format::Csv(style),
            FileFormat::Json => Format::Json,
            FileFormat::Parquet | FileFormat::Delta(_) => return Ok(None),
        };
        let schema = match projection {
            Some(columns) => Arc::new(whole.project(columns)?),
            None => Arc::clone(whole),
        };
        let in_path = table.partition_columns.iter().map(|field| field.name().clone()).collect();
        let per_group = table.files.len().div_ceil(partitions.max(1)).max(1);
        let groups: Vec<_> = table.files.chunks(per_group).map(<[TableFile]>::to_vec).collect();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let reader = Reader {
            store: table.store.clone(),
            format,
            file_schema: Arc::clone(&table.schema),
            schema,
            in_path,
            // Threads that no file keeps busy help those that have one.
            at_once: (partitions / groups.len().max(1)).max(1),
        };
        Ok(Some(Self {
            reader: Arc::new(reader),
            groups,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

/// How files are read.
#[derive(Debug)]
struct Reader {
    store: ObjectStoreUrl,
    format: Format,
    /// The columns in the files.
    file_schema: SchemaRef,
    /// The columns that are wanted.
    schema: SchemaRef,
    /// Columns that stand in the paths.
    in_path: Vec<String>,
    /// Blocks of a file that are worked on at the same time.
    at_once: usize,
}

/// Where a wanted column of a file comes from.
enum Origin {
    /// A column that is read, by its place among them.
    Read(usize),
    /// The same value in every row.
    Same(ScalarValue),
}

impl Reader {
    /// The rows of a file.
    async fn open(
        self: Arc<Self>,
        store: Arc<dyn ObjectStore>,
        file: TableFile,
        batch_rows: usize,
        records: Count,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let text = bytes::chunks(&store, &file.meta).await?;
        let own = file.columns.as_ref().unwrap_or(&self.file_schema);
        let (origins, places) = self.origins(&file, own)?;
        let counted = move |count: u64| records.add(usize::try_from(count).unwrap_or(usize::MAX));
        let rows = match self.format {
            Format::Csv(style) => csv::rows(text, style, own, places, batch_rows, counted),
            Format::Json => {
                let schema = Arc::new(own.project(&places)?);
                json::rows(text, &schema, batch_rows, self.at_once, counted)
            }
        };
        Ok(rows.map(move |batch| self.completed(&batch?, &origins)).boxed())
    }

    /// Where the wanted columns come from, and which of the file's are read.
    fn origins(&self, file: &TableFile, own: &Schema) -> Result<(Vec<Origin>, Vec<usize>)> {
        let mut places = Vec::new();
        let mut origins = Vec::new();
        for field in self.schema.fields() {
            let in_path = self.in_path.iter().position(|name| name == field.name());
            let same = in_path.and_then(|place| file.partition_values.get(place));
            origins.push(match (same, own.index_of(field.name())) {
                (Some(value), _) => Origin::Same(value.clone()),
                (None, Ok(place)) => {
                    places.push(place);
                    Origin::Read(places.len() - 1)
                }
                (None, Err(_)) => Origin::Same(ScalarValue::try_from(field.data_type())?),
            });
        }
        Ok((origins, places))
    }

    /// A batch of what was read with all wanted columns.
    fn completed(&self, read: &RecordBatch, origins: &[Origin]) -> Result<RecordBatch> {
        let rows = read.num_rows();
        let columns =
            origins.iter().zip(self.schema.fields()).map(|(origin, field)| match origin {
                Origin::Read(place) => Ok(Arc::clone(read.column(*place))),
                Origin::Same(value) if value.is_null() => {
                    Ok(new_null_array(field.data_type(), rows))
                }
                Origin::Same(value) => value.to_array_of_size(rows),
            });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl DisplayAs for TextScan {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.groups.iter().map(Vec::len).sum();
        write!(f, "{}: files={files}", Self::NAME)
    }
}

impl ExecutionPlan for TextScan {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let store = context.runtime_env().object_store(&self.reader.store)?;
        let batch_rows = context.session_config().batch_size();
        let records = MetricBuilder::new(&self.metrics).counter(RECORDS, partition);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let files = self.groups.get(partition).cloned().unwrap_or_default();
        let reader = Arc::clone(&self.reader);
        let rows = futures::stream::iter(files)
            .then(move |file| {
                let (reader, store) = (Arc::clone(&reader), Arc::clone(&store));
                reader.open(store, file, batch_rows, records.clone())
            })
            .try_flatten()
            .inspect_ok(move |batch| metrics.record_output(batch.num_rows()));
        let schema = Arc::clone(&self.reader.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
