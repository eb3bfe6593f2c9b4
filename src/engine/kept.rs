//! A table a run keeps for itself: one file a partition, in the form in which
//! rows lie in memory, so that writing copies and reading only maps.
//!
//! What the planner knew of the rows' spread and order stays known.

use std::fmt::Formatter;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use arrow::ipc::{Block, CompressionType, MetadataVersion, root_as_footer};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::equivalence::ProjectionMapping;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    Statistics, execute_stream_partitioned,
};
use futures::StreamExt;
use memmap2::MmapOptions;

/// A kept table.
#[derive(Debug)]
pub struct KeptTable {
    schema: SchemaRef,
    parts: Vec<Arc<Part>>,
    properties: Arc<PlanProperties>,
}

/// One partition on disk.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Where the batches stand.
    blocks: Vec<Block>,
    rows: usize,
}

impl KeptTable {
    /// Computes a plan into files below a folder, all partitions at once.
    ///
    /// # Errors
    /// The plan or the disk fails.
    pub async fn write(
        plan: &Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        folder: &Path,
        room: Room,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let streams = execute_stream_partitioned(Arc::clone(plan), context)?;
        let mut tasks = tokio::task::JoinSet::new();
        for (index, stream) in streams.into_iter().enumerate() {
            let path = folder.join(format!("{index:05}.arrow"));
            tasks.spawn(async move {
                Ok::<_, DataFusionError>((index, write(path, stream, room).await?))
            });
        }
        let mut parts = Vec::new();
        while let Some(done) = tasks.join_next().await {
            parts.push(done.map_err(|error| DataFusionError::External(Box::new(error)))??);
        }
        parts.sort_unstable_by_key(|(index, _)| *index);
        let schema = plan.schema();
        let known = plan.equivalence_properties();
        let orderings: Vec<_> = known.oeq_class().iter().cloned().collect();
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(Arc::clone(&schema), orderings),
            plan.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let parts = parts.into_iter().map(|(_, part)| Arc::new(part)).collect();
        Ok(Self { schema, parts, properties: Arc::new(properties) })
    }
}

/// Whether rows may lie on disk as in memory, or are packed: more work for
/// each reader, for a third of the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// As in memory.
    Plenty,
    /// Packed.
    Scarce,
}

async fn write(path: PathBuf, mut stream: SendableRecordBatchStream, room: Room) -> Result<Part> {
    let file = BufWriter::new(File::create(&path)?);
    let packing = (room == Room::Scarce).then_some(CompressionType::LZ4_FRAME);
    let options = IpcWriteOptions::default().try_with_compression(packing)?;
    let mut writer = FileWriter::try_new_with_options(file, &stream.schema(), options)?;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        writer.write(&compact(&batch)?)?;
    }
    writer.finish()?;
    drop(writer);
    let blocks = blocks(&path)?;
    Ok(Part { path, blocks, rows })
}

/// Views of text may hold on to far more than they show.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => {
            let text = column.as_string_view();
            let held: usize = text.data_buffers().iter().map(Buffer::len).sum();
            match held > 2 * text.total_buffer_bytes_used() {
                true => Arc::new(text.gc()) as ArrayRef,
                false => Arc::clone(column),
            }
        }
        _ => Arc::clone(column),
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}

/// Where the batches of a file stand.
fn blocks(path: &Path) -> Result<Vec<Block>, ArrowError> {
    let length = std::fs::metadata(path)?.len();
    let file = map(&File::open(path)?, 0, usize::try_from(length).unwrap_or(usize::MAX))?;
    let broken = || ArrowError::IpcError(format!("{} has no footer", path.display()));
    let trailer = file.len().checked_sub(TRAILER_BYTES).ok_or_else(broken)?;
    let mark = file[trailer..].try_into().map_err(|_| broken())?;
    let footer = trailer.checked_sub(read_footer_length(mark)?).ok_or_else(broken)?;
    let footer = root_as_footer(&file[footer..trailer]).map_err(|_| broken())?;
    if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
        return Err(ArrowError::NotYetImplemented("dictionaries in a kept table".into()));
    }
    Ok(footer.recordBatches().into_iter().flatten().copied().collect())
}

/// The length of the footer and the magic word.
const TRAILER_BYTES: usize = 10;

/// A stretch of a file as memory.
#[expect(unsafe_code, reason = "no other way to read without a copy")]
fn map(file: &File, offset: u64, length: usize) -> Result<Buffer, ArrowError> {
    // SAFETY: the files stand in a folder of this run's own and are complete
    // before they are read; nobody writes to them again.
    let map = unsafe { MmapOptions::new().offset(offset).len(length).map(file)? };
    let map = Arc::new(map);
    let Some(start) = std::ptr::NonNull::new(map.as_ptr().cast_mut()) else {
        return Err(ArrowError::MemoryError("an empty map".into()));
    };
    // SAFETY: the map is as long as that and lives as long as the buffer.
    Ok(unsafe { Buffer::from_custom_allocation(start, length, map) })
}

#[async_trait]
impl TableProvider for KeptTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.schema.project(&columns)?);
        let mapping = ProjectionMapping::from_indices(&columns, &self.schema)?;
        let known = self.properties.equivalence_properties();
        let properties = PlanProperties::new(
            known.project(&mapping, schema),
            self.properties.output_partitioning().project(&mapping, known),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(KeptScan {
            parts: self.parts.clone(),
            whole: Arc::clone(&self.schema),
            columns,
            properties: Arc::new(properties),
        }))
    }
}

/// Reads columns of a kept table.
#[derive(Debug)]
struct KeptScan {
    parts: Vec<Arc<Part>>,
    whole: SchemaRef,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for KeptScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        let schema = self.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "KeptScan: partitions={}, columns=[{}]", self.parts.len(), names.join(", "))?;
        match self.properties.output_ordering() {
            Some(ordering) => write!(f, ", output_ordering=[{ordering}]"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for KeptScan {
    fn name(&self) -> &'static str {
        "KeptScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
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
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let part = Arc::clone(&self.parts[partition]);
        let file = File::open(&part.path)?;
        let decoder = FileDecoder::new(Arc::clone(&self.whole), MetadataVersion::V5)
            .with_projection(self.columns.clone());
        let read = move |index: usize| -> Result<RecordBatch> {
            let block = part.blocks[index];
            let bytes = i64::from(block.metaDataLength()) + block.bodyLength();
            let (offset, bytes) = (u64::try_from(block.offset()), usize::try_from(bytes));
            let (Ok(offset), Ok(bytes)) = (offset, bytes) else {
                return Err(DataFusionError::Internal("a kept table is broken".into()));
            };
            let batch = decoder.read_record_batch(&block, &map(&file, offset, bytes)?)?;
            batch.ok_or_else(|| DataFusionError::Internal("a kept table is broken".into()))
        };
        let batches = futures::stream::iter((0..self.parts[partition].blocks.len()).map(read));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let rows = match args.partition() {
            Some(partition) => self.parts[partition].rows,
            None => self.parts.iter().map(|part| part.rows).sum(),
        };
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = Precision::Exact(rows);
        Ok(Arc::new(statistics))
    }
}
