//! A fixed list of files as a table. Unlike a listing, it reads just the files
//! it was given: those whose sizes and etags stand in the run record.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use futures::future::try_join_all;
use object_store::ObjectMeta;
use parquet::arrow::arrow_reader::RowSelection;

use super::text::scan::TextScan;
use crate::plan::FileFormat;

/// Files of one format and schema in one store.
#[derive(Debug, Clone)]
pub struct FilesTable {
    /// The name under which the session knows the store.
    pub store: ObjectStoreUrl,
    /// The files, in the order in which they are read.
    pub files: Vec<TableFile>,
    /// The columns in the files.
    pub schema: SchemaRef,
    /// Columns that stand in the paths (`key=value`), behind those in the files.
    pub partition_columns: Vec<FieldRef>,
    /// The format of the files.
    pub format: FileFormat,
    /// How rows are spread over the files and sorted within, where known.
    pub layout: Option<Layout>,
    /// Rows of all files, where known: the planner puts the smaller side of a
    /// join into its hash table.
    pub rows: Option<usize>,
}

/// What the planner may rely on: file n is partition n of `partitioning`, and
/// each file is sorted.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Which rows are in which file.
    pub partitioning: Partitioning,
    /// The order within a file.
    pub ordering: Option<LexOrdering>,
}

/// One file of a table.
#[derive(Debug, Clone)]
pub struct TableFile {
    /// Its path, size, time and etag.
    pub meta: ObjectMeta,
    /// The values of the partition columns.
    pub partition_values: Vec<ScalarValue>,
    /// The columns of the file in the order in which they stand in it, where a
    /// reader goes by their place (CSV); none where it goes by their names.
    pub columns: Option<SchemaRef>,
    /// What the file calls the columns of the table, and those of its partitions, where it
    /// calls any by another name.
    pub names: Option<Arc<[String]>>,
    /// The rows that count, where others do not (Parquet).
    pub selection: Option<RowSelection>,
}

impl TableFile {
    /// A file whose columns are found by name, and whose rows all count.
    pub fn named(meta: ObjectMeta) -> Self {
        Self { meta, partition_values: Vec::new(), columns: None, names: None, selection: None }
    }
}

/// The unit of times of Parquet's oldest kind (INT96): with nanoseconds, which it was made
/// for, whatever is not of 1677 to 2262 would become another time.
pub const INT96_UNIT: &str = "us";

impl FilesTable {
    fn table_schema(&self) -> TableSchema {
        TableSchema::builder(Arc::clone(&self.schema))
            .with_table_partition_cols(self.partition_columns.clone())
            .build()
    }

    /// The files of each partition: one where the layout says so, else as even
    /// as may be.
    fn groups(&self, partitions: usize) -> Vec<FileGroup> {
        let files = self.files.iter().map(|file| {
            let mut part = PartitionedFile::from(file.meta.clone());
            part.partition_values.clone_from(&file.partition_values);
            match &file.selection {
                Some(rows) => part.with_extension(ParquetRowSelection::new(rows.clone())),
                None => part,
            }
        });
        match self.layout {
            Some(_) => files.map(|file| FileGroup::new(vec![file])).collect(),
            None => FileGroup::new(files.collect()).split_files(partitions.max(1)),
        }
    }

    /// The files by the names of their columns, where any are called otherwise than in the
    /// table; each with the names it has in common.
    fn by_names(&self) -> Vec<(FilesTable, Arc<[String]>)> {
        if self.files.iter().all(|file| file.names.is_none()) {
            return Vec::new();
        }
        let all = || self.schema.fields().iter().chain(&self.partition_columns);
        let own: Arc<[String]> = all().map(|field| field.name().clone()).collect();
        let mut alike: Vec<(FilesTable, Arc<[String]>)> = Vec::new();
        for file in &self.files {
            let names = file.names.clone().unwrap_or_else(|| Arc::clone(&own));
            let file = TableFile { names: None, ..file.clone() };
            match alike.iter_mut().find(|(_, known)| *known == names) {
                Some((table, _)) => table.files.push(file),
                None => {
                    let called = all().zip(names.iter());
                    let called = called.map(|(field, name)| {
                        Arc::new(field.as_ref().clone().with_name(name.clone()))
                    });
                    let mut fields: Vec<FieldRef> = called.collect();
                    let partition_columns = fields.split_off(self.schema.fields().len());
                    let schema = Arc::new(Schema::new(fields));
                    let files = vec![file];
                    let table =
                        FilesTable { files, schema, partition_columns, rows: None, ..self.clone() };
                    alike.push((table, names));
                }
            }
        }
        alike
    }

    /// Reads some columns by their places, and calls them `fields`.
    async fn scan_as(
        &self,
        state: &dyn Session,
        fields: &Fields,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = self.scan(state, projection, &[], limit).await?;
        let own = scan.schema();
        let columns = fields.iter().zip(own.fields()).enumerate().map(|(place, (field, own))| {
            let expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(own.name(), place));
            ProjectionExpr { expr, alias: field.name().clone() }
        });
        let columns: Vec<ProjectionExpr> = columns.collect();
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }

    fn parquet_source(&self, state: &dyn Session) -> Arc<dyn FileSource> {
        let mut global = state.config_options().execution.parquet.clone();
        global.coerce_int96 = Some(INT96_UNIT.into());
        let options = TableParquetOptions { global, ..TableParquetOptions::default() };
        Arc::new(ParquetSource::new(self.table_schema()).with_table_parquet_options(options))
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema().table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Parquet prunes row groups by them; rows are filtered above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let schema = match projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => schema,
        };
        if self.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let alike = self.by_names();
        if !alike.is_empty() {
            let scans = alike
                .iter()
                .map(|(table, _)| table.scan_as(state, schema.fields(), projection, limit));
            return together(try_join_all(scans).await?);
        }
        let partitions = state.config().target_partitions();
        if let Some(scan) = TextScan::new(self, &self.schema(), projection, partitions)? {
            return Ok(Arc::new(scan));
        }
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = self.rows.map_or(Precision::Absent, Precision::Exact);
        let config = FileScanConfigBuilder::new(self.store.clone(), self.parquet_source(state))
            .with_file_groups(self.groups(partitions))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit);
        let config = match &self.layout {
            None => config.build(),
            Some(layout) => config
                .with_output_partitioning(Some(layout.partitioning.clone()))
                .with_output_ordering(layout.ordering.iter().cloned().collect())
                .build(),
        };
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Plans of the same columns, one after another.
fn together(mut scans: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
    match scans.len() {
        1 => Ok(scans.remove(0)),
        _ => UnionExec::try_new(scans),
    }
}
