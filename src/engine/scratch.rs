//! Tables nobody will see: kept once, read by the steps behind, gone with the
//! run. In a local folder, so that memory stays bounded, but for what there is
//! memory to spare for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::{DECIMAL64_MAX_PRECISION, DataType, FieldRef, SchemaRef};
use datafusion::common::TableReference;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, Partitioning, execute_stream_partitioned,
};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStoreExt, path::Path as ObjectPath};
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tokio::fs::File;

use super::checksum::Summed;
use super::files::{FilesTable, Layout, TableFile};
use super::kept::{Disk, KeptTable, Room, Spare};
use super::owned::OwnedFolder;
use crate::plan::FileFormat;

/// The folder of one run's intermediate tables; it goes when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: OwnedFolder,
    store: Arc<LocalFileSystem>,
    url: ObjectStoreUrl,
    /// What is kept, by its name.
    kept: Mutex<BTreeMap<String, (TableReference, Arc<KeptTable>)>>,
    /// Where tables that are kept from now on find room.
    room: Mutex<Room>,
    /// From how many rows of what they are made.
    rows: Mutex<BTreeMap<String, u64>>,
}

impl Scratch {
    /// Makes a fresh folder below `parent`, or in the system's place for such.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(parent: Option<&Path>) -> Result<Self> {
        let system = std::env::temp_dir();
        let folder = OwnedFolder::new(parent.unwrap_or(&system))?;
        let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path())?);
        let url = ObjectStoreUrl::parse("scratch://run")?;
        let disk = Arc::new(Disk::new(folder.path().join("rows")));
        Ok(Self {
            folder,
            store,
            url,
            kept: Mutex::default(),
            room: Mutex::new(Room::on(&disk)),
            rows: Mutex::default(),
        })
    }

    /// Notes from how many rows of something tables are made.
    pub fn note_rows(&self, of: &str, rows: u64) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(of.into(), rows);
    }

    /// From how many rows of all that was noted.
    pub fn rows(&self) -> u64 {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// Packs what is kept from now on: there will be much of it.
    pub fn pack(&self) {
        let mut room = self.room();
        *room = room.packed();
    }

    /// Writes what is kept from now on to the folder.
    pub fn write_out(&self) {
        *self.room() = self.on_disk();
    }

    /// Room for what is to be written there whatever is kept in memory.
    pub fn on_disk(&self) -> Room {
        self.room().unpacked()
    }

    /// Holds in memory what is kept from now on, as far as so many bytes of the
    /// engine's go for all of it.
    pub fn hold(&self, context: &SessionContext, bytes: u64) {
        let mut room = self.room();
        if !room.is_ample() {
            let pool = &context.runtime_env().memory_pool;
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            *room = room.spared(Spare::new(pool, bytes));
        }
    }

    /// A folder for what the engine spills.
    pub fn spill(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Computes a query and registers the result under a name. What the plan
    /// knows of its partitions and their order holds for the files too.
    ///
    /// # Errors
    /// The query or the disk fails.
    pub async fn keep(
        &self,
        context: &SessionContext,
        name: TableReference,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<()> {
        let room = self.room().clone();
        let table = KeptTable::write(&plan, context.task_ctx(), &room).await?;
        super::trace(&name.to_string(), plan.as_ref());
        context.deregister_table(name.clone())?;
        let table = Arc::new(table);
        context.register_table(name.clone(), Arc::clone(&table) as _)?;
        self.kept().insert(name.to_string(), (name, table));
        Ok(())
    }

    /// Removes tables that were kept. Nobody reads them any more.
    ///
    /// # Errors
    /// The disk fails.
    pub fn forget(&self, context: &SessionContext, which: impl Fn(&str) -> bool) -> Result<()> {
        let forgotten = self.kept().extract_if(.., |name, _| which(name)).collect::<Vec<_>>();
        for (_, (name, table)) in forgotten {
            table.forget();
            context.deregister_table(name)?;
        }
        Ok(())
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, (TableReference, Arc<KeptTable>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes a query into files of a folder, one a partition, that may be kept for
    /// other runs: the table, and what each file has.
    ///
    /// # Errors
    /// The query or the disk fails.
    pub async fn write(
        &self,
        context: &SessionContext,
        plan: &Arc<dyn ExecutionPlan>,
        folder: &str,
    ) -> Result<(FilesTable, Vec<Written>)> {
        let written = self.write_files(context, plan, folder).await?;
        let contents = written.iter().map(|(_, written)| *written).collect();
        let layout = match plan.output_partitioning() {
            Partitioning::Hash(..) => Some(plan.output_partitioning().clone()),
            _ if written.len() == 1 => Some(Partitioning::UnknownPartitioning(1)),
            _ => None,
        };
        let layout = layout
            .map(|partitioning| Layout { partitioning, ordering: plan.output_ordering().cloned() });
        Ok((FilesTable { layout, ..self.table(context, plan.schema(), written) }, contents))
    }

    /// Files as a table.
    pub fn table(
        &self,
        context: &SessionContext,
        schema: SchemaRef,
        files: Vec<(TableFile, Written)>,
    ) -> FilesTable {
        context.register_object_store(self.url.as_ref(), Arc::clone(&self.store) as _);
        FilesTable {
            store: self.url.clone(),
            rows: Some(files.iter().map(|(_, written)| written.rows).sum()),
            files: files.into_iter().map(|(file, _)| file).collect(),
            schema,
            partition_columns: Vec::new(),
            format: FileFormat::Parquet,
            layout: None,
        }
    }

    /// Opens a file to be written row by row; its name ends in `.parquet`.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn create(&self, name: &str, schema: &SchemaRef) -> Result<ScratchWriter> {
        let path = self.folder.path().join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = Summed::new(File::create(&path).await?);
        Ok(AsyncArrowWriter::try_new(file, Arc::clone(schema), Some(spooled()))?)
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that has been written.
    ///
    /// # Errors
    /// It is not there.
    pub async fn file(&self, name: &str) -> Result<TableFile> {
        let meta = self.store.head(&ObjectPath::from(name)).await?;
        Ok(TableFile::named(meta))
    }

    /// One file a partition, all at the same time.
    async fn write_files(
        &self,
        context: &SessionContext,
        plan: &Arc<dyn ExecutionPlan>,
        folder: &str,
    ) -> Result<Vec<(TableFile, Written)>> {
        let disk = self.folder.path().join(folder);
        std::fs::create_dir_all(&disk)?;
        let streams = execute_stream_partitioned(Arc::clone(plan), context.task_ctx())?;
        debug_assert_eq!(streams.len(), plan.output_partitioning().partition_count());
        let mut tasks = tokio::task::JoinSet::new();
        for (part, mut stream) in streams.into_iter().enumerate() {
            let path = disk.join(format!("{part:05}.parquet"));
            let schema = plan.schema();
            tasks.spawn(async move {
                let file = Summed::new(File::create(&path).await?);
                let packed = packed(&schema);
                let mut writer = AsyncArrowWriter::try_new(file, schema, Some(packed))?;
                let mut rows = 0;
                while let Some(batch) = stream.next().await {
                    let batch = batch?;
                    rows += batch.num_rows();
                    writer.write(&batch).await?;
                }
                Ok::<_, DataFusionError>((part, Written::end(writer, rows).await?))
            });
        }
        let mut parts = Vec::new();
        while let Some(done) = tasks.join_next().await {
            parts.push(done.map_err(|error| DataFusionError::External(Box::new(error)))??);
        }
        parts.sort_unstable_by_key(|(part, _)| *part);
        let mut files = Vec::with_capacity(parts.len());
        for (part, written) in parts {
            files.push((self.file(&format!("{folder}/{part:05}.parquet")).await?, written));
        }
        Ok(files)
    }
}

/// Writes a file of the scratch folder.
pub type ScratchWriter = AsyncArrowWriter<Summed<File>>;

/// What a file has.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Its rows.
    pub rows: usize,
    /// The checksum of its bytes.
    pub checksum: u64,
}

impl Written {
    /// Completes a file of so many rows.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn end(mut writer: ScratchWriter, rows: usize) -> Result<Self> {
        writer.finish().await?;
        Ok(Self { rows, checksum: writer.into_inner().checksum() })
    }
}

/// Rows of a row group of a file that is read back soon.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// Read back within seconds from the page cache: speed counts, size hardly.
fn spooled() -> WriterProperties {
    common().build()
}

/// Kept in a store and read every night: rows of one customer beside each other are
/// numbers near each other, which are few bits apart.
fn packed(schema: &SchemaRef) -> WriterProperties {
    let is_number = |kind: &DataType| match kind {
        DataType::Int64 | DataType::Date32 | DataType::Timestamp(..) => true,
        DataType::Decimal128(precision, _) => *precision <= DECIMAL64_MAX_PRECISION,
        _ => false,
    };
    let numbers = schema.fields().iter().filter(|field| is_number(field.data_type()));
    let packed = |properties: WriterPropertiesBuilder, field: &FieldRef| {
        let column = ColumnPath::from(field.name().as_str());
        properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
    };
    numbers.fold(common(), packed).build()
}

fn common() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        // Small enough that the memory of one is that of the next.
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Few rows are after the day of a run: whole files are passed over.
        .set_column_statistics_enabled("order_date".into(), EnabledStatistics::Chunk)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::datasource::ViewTable;

    use super::*;
    use crate::engine::session;
    use crate::plan::EnginePlan;

    #[tokio::test]
    async fn what_is_forgotten_gives_its_memory_back_though_a_view_is_left() {
        let scratch = Scratch::new(None).expect("a folder");
        let engine = EnginePlan { memory_bytes: 64 << 20, threads: Some(2), scratch: None };
        let context = session::open(&engine, scratch.spill()).expect("a session");
        let pool = Arc::clone(&context.runtime_env().memory_pool);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        let rows = RecordBatch::try_from_iter([("number", numbers)]).expect("a column");
        scratch.hold(&context, 1 << 20);
        let plan = context.read_batch(rows).expect("rows").create_physical_plan().await;
        let name = TableReference::bare("kept");
        scratch.keep(&context, name.clone(), plan.expect("a plan")).await.expect("kept");
        let held = pool.reserved();
        assert!(held > 0 && held < 80_000, "numbers below 10,000 in {held} bytes");

        let kept = context.table(name).await.expect("there");
        let view = ViewTable::new(kept.logical_plan().clone(), None);
        context.register_table("view", Arc::new(view)).expect("a fresh name");
        let view = context.table("view").await.expect("there");
        assert_eq!(view.clone().count().await.expect("read"), 10_000);

        scratch.forget(&context, |_| true).expect("forgotten");
        assert_eq!(pool.reserved(), 0);
        assert!(view.count().await.is_err(), "a view of nothing");
    }

    #[test]
    fn rows_are_noted_once_for_each_source() {
        let scratch = Scratch::new(None).expect("a folder");
        for (of, rows, all) in [("orders", 10, 10), ("leads", 5, 15), ("orders", 12, 17)] {
            scratch.note_rows(of, rows);
            assert_eq!(scratch.rows(), all);
        }
    }
}
