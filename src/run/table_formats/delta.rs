//! A Delta table as a source: the files that count at a version, the rows in them that do
//! not, and the names and types of its columns. What the log means is `delta_kernel`'s to
//! say; the files are read as those of any other source.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::scan::StatsOptions;
use delta_kernel::scan::state::{DvInfo, ScanFile};
use delta_kernel::table_features::ColumnMappingMode;
use delta_kernel::{KernelResult, Snapshot};
use object_store::ObjectMeta;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use url::Url;

use super::kernel::{FolderEngine, TABLE};
use super::problems;
use super::recognise::DELTA_LOG;
use crate::error::Result;
use crate::panics;
use crate::plan::SourcePlan;
use crate::problem::Problem;
use crate::run::failure::of_store;
use crate::run::source::{cannot_read, version_of};
use crate::run::target::SourceFile;
use crate::storage::{Location, hex};

/// A table at a version.
#[derive(Debug)]
pub struct Table {
    /// Its folder.
    pub location: Location,
    /// Which version.
    pub version: u64,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Whether files are asked for their columns by number.
    pub by_id: bool,
    /// The files that count, by path.
    pub files: Vec<DataFile>,
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// What the table calls it.
    pub name: String,
    /// Its type.
    pub kind: DataType,
    /// What its files call it.
    pub physical: String,
    /// The number that its files may have it under.
    pub id: Option<i64>,
    /// Whether its values stand in the log.
    pub is_partition: bool,
}

/// A file that counts.
#[derive(Debug)]
pub struct DataFile {
    /// Its path below the table's folder.
    pub relative: String,
    /// Its size and version, as the store has it.
    pub meta: ObjectMeta,
    /// Values of partition columns by physical name; null where there is none.
    pub partitions: HashMap<String, String>,
    /// Which of its rows were deleted.
    pub deleted: DvInfo,
}

impl Table {
    /// Each file as the run record keeps it. Rows that are deleted from a file make it
    /// another.
    pub fn source_files(&self) -> Vec<SourceFile> {
        let file = |file: &DataFile| {
            let version = version_of(&file.meta);
            let version = match file.deleted.has_vector() {
                true => format!("{version} without {}", short(&file.deleted)),
                false => version,
            };
            SourceFile {
                path: file.relative.clone(),
                bytes: file.meta.size,
                version: Some(version),
            }
        };
        self.files.iter().map(file).collect()
    }

    /// The places in the files at which rows were deleted, in their order, by file.
    ///
    /// # Errors
    /// A deletion vector cannot be read.
    pub async fn deleted(&self, plan: &SourcePlan) -> Result<Vec<Vec<u64>>, Problem> {
        if !self.files.iter().any(|file| file.deleted.has_vector()) {
            return Ok(vec![Vec::new(); self.files.len()]);
        }
        let vectors: Vec<_> = self.files.iter().map(|file| file.deleted.clone()).collect();
        let found = in_kernel(&self.location, move |engine| {
            let root = Url::parse(TABLE)?;
            let read = |vector: &DvInfo| {
                let mut rows = vector.get_row_indexes(engine, &root)?.unwrap_or_default();
                rows.sort_unstable();
                Ok((rows, vector.cardinality()?))
            };
            // Which file it was that failed.
            let read = vectors.iter().enumerate().map(|(place, vector)| (place, read(vector)));
            Ok(read.collect::<Vec<(usize, KernelResult<_>)>>())
        });
        let found = found.await.map_err(|e| problems::log(plan, &self.location, &e))?;
        let mut all = Vec::new();
        for (place, read) in found {
            let file = self.location.shown(&self.files[place].relative);
            match read {
                Ok((rows, said)) if said.is_none_or(|said| said == rows.len() as u64) => {
                    all.push(rows);
                }
                Ok((rows, said)) => {
                    let (said, found) = (said.unwrap_or_default(), rows.len());
                    return Err(problems::vector(
                        file,
                        &format!(
                            "the log says that {said} rows are deleted, its deletion vector {found}"
                        ),
                    ));
                }
                Err(error) => return Err(problems::vector(file, &error.to_string())),
            }
        }
        Ok(all)
    }
}

/// Finds the files that count at the version a source asks for, the newest if it asks for
/// none; opens none of them.
///
/// # Errors
/// No such table or version, a log that cannot be read, or a file that is gone.
pub async fn list(plan: &SourcePlan, location: Location, version: Option<u64>) -> Result<Table> {
    let store_problem = |error| of_store(&error, cannot_read(plan, &error));
    let listed = location.list("").await.map_err(store_problem)?;
    let log = format!("{DELTA_LOG}/");
    if !listed.iter().any(|(name, _)| name.starts_with(&log)) {
        return Err(problems::no_table(plan, &location, &listed).await.into());
    }
    problems::has_version(plan, &location, &listed, version)?;
    let read = in_kernel(&location, move |engine| read_log(engine, version)).await;
    let log = read.map_err(|error| problems::log(plan, &location, &error))?;
    let mut metas: HashMap<String, ObjectMeta> = listed.into_iter().collect();
    let mut files = Vec::new();
    for file in log.files {
        let Some(relative) = relative(&file.path) else {
            return Err(problems::elsewhere(plan, &location, &file.path).into());
        };
        // Written since the folder was listed, or gone.
        let meta = match metas.remove(&relative) {
            Some(meta) => Some(meta),
            None => location.head(&relative).await.map_err(store_problem)?,
        };
        let Some(meta) = meta else {
            return Err(problems::gone(plan, &location, &relative, log.version, version).into());
        };
        let (partitions, deleted) = (file.partition_values, file.dv_info);
        files.push(DataFile { relative, meta, partitions, deleted });
    }
    files.sort_by(|a, b| a.relative.cmp(&b.relative));
    let (version, columns, by_id) = (log.version, log.columns, log.by_id);
    Ok(Table { location, version, columns, by_id, files })
}

/// What tells deletion vectors apart.
fn short(vector: &DvInfo) -> String {
    hex(&Sha256::digest(format!("{vector:?}"))[..8])
}

/// The path of a file below the table's folder; none if it is somewhere else. The log
/// writes paths as URLs.
fn relative(path: &str) -> Option<String> {
    let is_elsewhere = path.starts_with('/') || Url::parse(path).is_ok();
    let plain = percent_decode_str(path).decode_utf8().ok()?;
    (!is_elsewhere && !plain.split('/').any(|part| part == "..")).then(|| plain.into_owned())
}

/// What the log says.
struct Log {
    version: u64,
    columns: Vec<Column>,
    by_id: bool,
    files: Vec<ScanFile>,
}

fn read_log(engine: &FolderEngine, version: Option<u64>) -> KernelResult<Log> {
    let builder = Snapshot::builder_for(TABLE);
    let builder = match version {
        Some(version) => builder.at_version(version),
        None => builder,
    };
    let snapshot = builder.build(engine)?;
    let configuration = snapshot.table_configuration();
    let mode = configuration.column_mapping_mode();
    let partitions = configuration.logical_partition_columns();
    let logical = snapshot.schema();
    let kinds: Schema = logical.as_ref().try_into_arrow()?;
    let columns = logical.fields().zip(kinds.fields()).map(|(field, kind)| Column {
        name: field.name().clone(),
        kind: kind.data_type().clone(),
        physical: field.physical_name(mode).into(),
        id: field.column_mapping_id(),
        is_partition: partitions.contains(field.name()),
    });
    let columns = columns.collect();
    let (version, by_id) = (snapshot.version(), mode == ColumnMappingMode::Id);
    // Rows are read and counted by ourselves, whatever the log says of them.
    let scan = snapshot.scan_builder().with_stats(StatsOptions::none());
    let scan = scan.without_row_transforms().build()?;
    let mut files = Vec::new();
    for found in scan.scan_metadata(engine)? {
        files = found?.visit_scan_files(files, |files, file| files.push(file))?;
    }
    Ok(Log { version, columns, by_id, files })
}

/// Runs the kernel, which waits for what it reads, where that is no harm.
async fn in_kernel<T: Send + 'static>(
    location: &Location,
    work: impl FnOnce(&FolderEngine) -> KernelResult<T> + Send + 'static,
) -> KernelResult<T> {
    let engine = FolderEngine::new(location, Handle::current());
    let done = tokio::task::spawn_blocking(move || panics::caught_now(|| work(&engine)));
    match done.await {
        Ok(Ok(done)) => done,
        Ok(Err(panicked)) => Err(delta_kernel::KernelError::generic(panicked)),
        Err(error) => Err(delta_kernel::KernelError::generic(error)),
    }
}

/// A schema without what only the log needs to know of its columns.
pub fn plain(columns: &[Column]) -> Arc<Schema> {
    let fields = columns.iter().filter(|column| !column.is_partition);
    let fields =
        fields.map(|column| arrow::datatypes::Field::new(&column.name, column.kind.clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_log_become_names() {
        for (path, name) in [
            ("part-0.parquet", Some("part-0.parquet")),
            (
                "day=2026-01-01%2010%253A00/x%20y.parquet",
                Some("day=2026-01-01 10%3A00/x y.parquet"),
            ),
            ("s3://bucket/other/x.parquet", None),
            ("file:/data/x.parquet", None),
            ("/data/x.parquet", None),
            ("../x.parquet", None),
        ] {
            assert_eq!(relative(path).as_deref(), name, "{path}");
        }
    }
}
