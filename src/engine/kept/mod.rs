//! A table a run keeps for itself, partition by partition: in memory, or in files.
//!
//! What the planner knew of the rows' spread and order stays known.

mod common;
mod disk;
mod narrow;
mod part;
mod room;
mod rows;
mod steps;
mod widths;
mod words;

use std::borrow::Cow;
use std::fmt::Formatter;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, TableType};
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

pub use self::common::{Common, Lying};
pub use self::disk::Disk;
pub use self::narrow::Form;
pub use self::part::{Columns, Part, PartWriter};
pub use self::room::{Room, Spare};
pub use self::rows::Reader;
use self::rows::{Rows, RowsWriter};
pub use self::words::Words;

/// A kept table.
#[derive(Debug)]
pub struct KeptTable {
    schema: SchemaRef,
    /// None once it is forgotten.
    parts: Mutex<Option<Vec<Arc<Rows>>>>,
    properties: Arc<PlanProperties>,
    /// What the planner may take for it where it has no rows.
    nothing: Option<LogicalPlan>,
}

/// A table without rows, as the planner knows one: joins with it, and what only
/// they need, are left out.
///
/// # Errors
/// A column stands twice.
pub fn nothing(schema: &SchemaRef) -> Result<LogicalPlan> {
    let schema = Arc::new(DFSchema::try_from(Arc::clone(schema))?);
    Ok(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }))
}

impl KeptTable {
    /// Computes a plan, all partitions at once.
    ///
    /// # Errors
    /// The plan or the disk fails.
    pub async fn write(
        plan: &Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        room: &Room,
    ) -> Result<Self> {
        let streams = execute_stream_partitioned(Arc::clone(plan), context)?;
        let mut tasks = tokio::task::JoinSet::new();
        for (index, stream) in streams.into_iter().enumerate() {
            let room = room.clone();
            tasks.spawn(
                async move { Ok::<_, DataFusionError>((index, write(stream, room).await?)) },
            );
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
        let parts: Vec<_> = parts.into_iter().map(|(_, part)| Arc::new(part)).collect();
        let is_empty = parts.iter().all(|part| part.count() == 0);
        let nothing = is_empty.then(|| nothing(&schema)).transpose()?;
        let parts = Mutex::new(Some(parts));
        Ok(Self { schema, parts, properties: Arc::new(properties), nothing })
    }

    /// Lets its rows go, though a view may still mention it. Who reads them now
    /// reads on.
    pub fn forget(&self) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

async fn write(mut stream: SendableRecordBatchStream, room: Room) -> Result<Rows> {
    let mut writer = RowsWriter::new(&stream.schema(), room);
    while let Some(batch) = stream.next().await {
        writer.write(&batch?)?;
    }
    Ok(writer.finish()?)
}

#[async_trait]
impl TableProvider for KeptTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        self.nothing.as_ref().map(Cow::Borrowed)
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let parts = parts.ok_or_else(|| {
            DataFusionError::Internal("a kept table is read that was forgotten".into())
        })?;
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
            parts,
            whole: Arc::clone(&self.schema),
            columns,
            properties: Arc::new(properties),
        }))
    }
}

/// Reads columns of a kept table.
#[derive(Debug)]
pub struct KeptScan {
    parts: Vec<Arc<Rows>>,
    whole: SchemaRef,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl KeptScan {
    /// The rows that are read, partition by partition.
    pub fn parts(&self) -> &[Arc<Rows>] {
        &self.parts
    }

    /// Begins to read some of the columns of a partition.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(&self, partition: usize, columns: &[usize]) -> Result<Reader> {
        let columns = columns.iter().map(|column| self.columns[*column]).collect();
        Ok(self.parts[partition].open(&self.whole, columns)?)
    }

    /// The form that holds a column of all partitions.
    pub fn form(&self, column: usize) -> Common {
        let mut common = Common::default();
        self.forms(column).for_each(|form| common.add(form));
        let column = self.columns[column];
        self.parts.iter().for_each(|part| common.learn(part.words(column)));
        common
    }

    /// Whether some of a column lies in fewer bytes than its type has.
    pub fn is_narrowed(&self, column: usize) -> bool {
        self.forms(column).any(|form| form != Form::Plain)
    }

    fn forms(&self, column: usize) -> impl Iterator<Item = Form> {
        let column = self.columns[column];
        self.parts.iter().flat_map(move |part| part.forms(column))
    }
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
        let opened = self.parts[partition].open(&self.whole, self.columns.clone())?;
        let read = move |batch: usize| Ok(opened.read(batch)?);
        let batches = futures::stream::iter((0..self.parts[partition].batches()).map(read));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let rows = match args.partition() {
            Some(partition) => self.parts[partition].count(),
            None => self.parts.iter().map(|part| part.count()).sum(),
        };
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = Precision::Exact(rows);
        Ok(Arc::new(statistics))
    }
}
