//! A fixed list of files as a table. Unlike a listing, it reads just the files
//! it was given: those whose sizes and etags stand in the run record.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::{CsvOptions, TableParquetOptions};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{
    CsvSource, FileGroup, FileScanConfigBuilder, FileSource, JsonSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use object_store::ObjectMeta;

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
    /// How the files are compressed as a whole (CSV and JSON).
    pub compression: FileCompressionType,
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
}

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
            part
        });
        match self.layout {
            Some(_) => files.map(|file| FileGroup::new(vec![file])).collect(),
            None => FileGroup::new(files.collect()).split_files(partitions.max(1)),
        }
    }

    fn file_source(&self, state: &dyn Session) -> Arc<dyn FileSource> {
        let schema = self.table_schema();
        match self.format {
            FileFormat::Parquet => {
                let global = state.config_options().execution.parquet.clone();
                let options = TableParquetOptions { global, ..TableParquetOptions::default() };
                Arc::new(ParquetSource::new(schema).with_table_parquet_options(options))
            }
            FileFormat::Csv => {
                let options = CsvOptions {
                    has_header: Some(true),
                    delimiter: b',',
                    quote: b'"',
                    ..CsvOptions::default()
                };
                Arc::new(CsvSource::new(schema).with_csv_options(options))
            }
            FileFormat::Json => Arc::new(JsonSource::new(schema)),
        }
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
        if self.files.is_empty() {
            let schema = self.schema();
            let schema = match projection {
                Some(columns) => Arc::new(schema.project(columns)?),
                None => schema,
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = self.rows.map_or(Precision::Absent, Precision::Exact);
        let config = FileScanConfigBuilder::new(self.store.clone(), self.file_source(state))
            .with_file_groups(self.groups(state.config().target_partitions()))
            .with_statistics(statistics)
            .with_file_compression_type(self.compression)
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
