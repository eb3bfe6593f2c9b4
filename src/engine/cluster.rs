//! Orders hash-partitioned by customer and sorted by the customer's life: done
//! once, so that every fact and metric behind streams along it.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use futures::StreamExt;

use super::files::Layout;
pub use super::life::LIFE;
use super::life::Lives;
use super::merge::merge;
use super::without::Without;

/// Rows by customer and life, in one piece or several.
#[derive(Debug, Clone)]
pub struct Clustered {
    pieces: Arc<Vec<Piece>>,
    properties: Arc<PlanProperties>,
    /// Memory that the pieces hold, given back with the last of them.
    _reservations: Arc<Vec<MemoryReservation>>,
}

/// Rows by customer and life.
#[derive(Debug)]
pub enum Piece {
    /// In memory.
    Held(Arc<Lives>),
    /// In files, one a partition.
    Written {
        /// Reads the files.
        scan: Arc<dyn ExecutionPlan>,
        /// Rows of them that do not count.
        without: Option<Without>,
    },
}

impl Clustered {
    /// Pieces as one. Every piece has as many partitions.
    ///
    /// # Errors
    /// The schema lacks a column of `LIFE`.
    pub fn new(
        schema: &SchemaRef,
        partitions: usize,
        mut pieces: Vec<Piece>,
        reservations: Vec<MemoryReservation>,
    ) -> Result<Self> {
        // A piece of no rows would only cost a merge.
        if pieces.len() > 1 {
            pieces.retain(|piece| !matches!(piece, Piece::Held(lives) if lives.rows() == 0));
        }
        let Layout { partitioning, ordering } = layout(schema, partitions)?;
        let equivalence = EquivalenceProperties::new_with_orderings(Arc::clone(schema), ordering);
        let properties = PlanProperties::new(
            equivalence,
            partitioning,
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            pieces: Arc::new(pieces),
            properties: Arc::new(properties),
            _reservations: Arc::new(reservations),
        })
    }

    /// A plan that reads the rows.
    pub fn plan(self) -> ClusterExec {
        ClusterExec { clustered: self }
    }
}

/// What the planner may rely on in clustered rows.
///
/// # Errors
/// The schema lacks a column of `LIFE`.
pub fn layout(schema: &SchemaRef, partitions: usize) -> Result<Layout> {
    let partitioning = Partitioning::Hash(vec![col("customer_id", schema)?], partitions);
    Ok(Layout { partitioning, ordering: Some(ordering(schema)?) })
}

/// Nulls first or last is all the same where there are none, but the planner
/// compares: these are the options of a plain SQL `order by`.
fn ordering(schema: &SchemaRef) -> Result<LexOrdering> {
    let options = SortOptions { descending: false, nulls_first: false };
    let keys: Result<Vec<PhysicalSortExpr>> = LIFE
        .iter()
        .map(|name| Ok(PhysicalSortExpr { expr: col(name, schema)?, options }))
        .collect();
    LexOrdering::new(keys?).ok_or_else(|| DataFusionError::Internal("an order of nothing".into()))
}

#[async_trait]
impl TableProvider for Clustered {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.properties.equivalence_properties().schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = Arc::new(self.clone().plan());
        let Some(columns) = projection else { return Ok(plan) };
        let schema = plan.schema();
        let named = columns.iter().map(|index| {
            let name = schema.field(*index).name();
            Ok((col(name, &schema)?, name.clone()))
        });
        let named = named.collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(named, plan)?))
    }
}

/// Reads clustered rows, a partition at a time.
#[derive(Debug)]
pub struct ClusterExec {
    clustered: Clustered,
}

impl ClusterExec {
    fn piece(
        &self,
        piece: &Piece,
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        match piece {
            Piece::Held(lives) => {
                let batches = Arc::clone(lives).partition(partition);
                let stream = futures::stream::iter(batches);
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
            }
            Piece::Written { scan, without: None } => scan.execute(partition, Arc::clone(context)),
            Piece::Written { scan, without: Some(without) } => {
                let without = without.clone();
                let stream = scan.execute(partition, Arc::clone(context))?;
                let stream = stream.map(move |batch| without.rest(&batch?));
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
            }
        }
    }
}

impl DisplayAs for ClusterExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterExec: pieces={}", self.clustered.pieces.len())
    }
}

impl ExecutionPlan for ClusterExec {
    fn name(&self) -> &'static str {
        "ClusterExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.clustered.properties
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
        let pieces = &self.clustered.pieces;
        let streams = pieces.iter().map(|piece| self.piece(piece, partition, &context));
        let mut streams = streams.collect::<Result<Vec<_>>>()?;
        if streams.len() == 1
            && let Some(only) = streams.pop()
        {
            return Ok(only);
        }
        // A batch of each piece is held, which is little and cannot be less.
        merge(&self.schema(), streams)
    }
}

#[cfg(test)]
mod tests;
