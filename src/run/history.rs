//! Orders whose clustered rows outlive a run, piece by piece: only files that
//! no piece holds are read. What depends on the day or on all files together
//! is decided here, when the pieces meet: which rows are after the day, and
//! which keys stand twice.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::agreed::is_read;
use super::classify::{self, Rule};

use super::pass::{Pass, Rest};
use super::pieces::{Cache, Part, Piece, Renewal};
use super::reading::{Counts, Reading};
use super::source::Opened;
use super::tables::provide;
use super::target::SourceFile;
use crate::engine::cluster::layout;
use crate::engine::collect::Collected;
use crate::engine::files::{FilesTable, TableFile};
use crate::engine::keys::KeyFile;
use crate::engine::scratch::Written;
use crate::engine::spool::Spool;
use crate::engine::spread::partitions;
use crate::plan::SourcePlan;
use crate::storage::hex;

/// What makes pieces of one run usable in another: all that their rows depend
/// on but the files. Two builds of one version may make them differently.
///
/// # Errors
/// The identity map cannot be read.
pub async fn scheme(
    context: &SessionContext,
    source: &SourcePlan,
    opened: &Opened,
    timezone: &str,
) -> Result<String> {
    let mut hasher = Sha256::new();
    let partitions = context.state().config().target_partitions();
    hasher.update(format!("{} {partitions} {timezone}\n", crate::VERSION));
    // Another hash function would look for customers elsewhere.
    hasher.update(format!("{:?}\n", probe()?));
    hasher.update(format!("{:?}\n", source.format));
    for mapping in &source.columns {
        hasher.update(format!("{}: {}\n", mapping.column.name, mapping.expression));
    }
    for rejection in &source.reject {
        hasher.update(format!("{:?}: {}\n", rejection.reason, rejection.expression));
    }
    // Where a column stands, and what nothing is made from, makes no difference.
    let fields = opened.table.schema.fields().iter().chain(&opened.table.partition_columns);
    let read: BTreeSet<String> = fields
        .filter(|field| is_read(source, field.name()))
        .map(|field| format!("{:?} {}\n", field.name(), field.data_type()))
        .collect();
    read.iter().for_each(|field| hasher.update(field));
    hasher.update(&opened.names);
    if context.table_exist("sources.customer_ids")? {
        let sql = "select cast(source_id as varchar), cast(customer_id as varchar) \
                   from sources.customer_ids order by 1, 2";
        let mut ids = context.sql(sql).await?.execute_stream().await?;
        while let Some(batch) = ids.next().await {
            let batch = batch?;
            let text = |column: usize| cast(batch.column(column), &DataType::Utf8);
            let (from, to) = (text(0)?, text(1)?);
            let (from, to) = (from.as_string::<i32>(), to.as_string::<i32>());
            for row in 0..batch.num_rows() {
                hasher.update(format!("{:?} {:?}\n", from.value(row), to.value(row)));
            }
        }
    }
    Ok(hex(&hasher.finalize()[..16]))
}

/// Where the hash function puts two customers.
fn probe() -> Result<Vec<u64>> {
    let mut all = Vec::new();
    let ids = arrow::array::Int64Array::from(vec![42]);
    let texts = arrow::array::StringArray::from(vec!["customer"]);
    for column in [Arc::new(ids) as Arc<dyn Array>, Arc::new(texts)] {
        let mut found = Vec::new();
        partitions(&column, 1 << 32, &mut found)?;
        all.extend(found);
    }
    Ok(all)
}

/// A piece that can be read.
struct Readable {
    rows: FilesTable,
    aside: Option<FilesTable>,
    keys: KeyFile,
}

impl Reading<'_> {
    /// Reads what no piece holds, and puts all pieces together.
    ///
    /// # Errors
    /// As [`Reading::read`]; or the pieces cannot be read.
    pub async fn read_pieces(&self, opened: &Opened, cache: Cache) -> Result<(Counts, Renewal)> {
        let choice = cache.choose(&opened.files);
        let mut records = choice.kept;
        let files = choice.fresh.iter().map(|place| opened.table.files[*place].clone());
        let fresh = FilesTable { files: files.collect(), rows: None, ..opened.table.clone() };
        let raw = self.context.read_table(Arc::new(fresh))?;
        let (pass, rules) = self.pass(raw, true).await?;
        let (rows, aside) = (Arc::clone(&pass.accepted), Arc::clone(&pass.aside));
        let mut readable = Vec::new();
        for piece in &records {
            readable.push(self.kept(&cache, piece, &rows, &aside).await?);
        }
        let mut objects = Vec::new();
        if !choice.fresh.is_empty() {
            let files = choice.fresh.iter().map(|place| opened.files[*place].clone()).collect();
            let (piece, read, from) = self.fresh(&cache, pass, files).await?;
            objects.extend(from);
            records.push(piece);
            readable.push(read);
        }
        let read = records.iter().map(|piece| piece.read).sum();
        let accepted = records.iter().map(Piece::accepted).sum();
        let counts = self.together(readable, read, accepted, &aside, &rules).await?;
        Ok((counts, cache.renew(records, objects)))
    }

    /// A piece of the target.
    async fn kept(
        &self,
        cache: &Cache,
        piece: &Piece,
        rows: &SchemaRef,
        aside: &SchemaRef,
    ) -> Result<Readable> {
        let location = cache.location();
        let store = ObjectStoreUrl::parse("target://set")?;
        self.context.register_object_store(store.as_ref(), Arc::clone(location.store()));
        let table = async |parts: &[Part], schema: &SchemaRef| -> Result<FilesTable> {
            let count = parts.iter().map(|part| part.rows).sum::<u64>();
            let rows = usize::try_from(count).ok();
            let none = self.scratch.table(self.context, Arc::clone(schema), Vec::new());
            if location.folder().is_some() {
                let file = |part: &Part| cache.meta(piece, part).cloned().map(TableFile::named);
                let files = parts.iter().filter_map(file).collect();
                return Ok(FilesTable { store: store.clone(), files, rows, ..none });
            }
            let mut files = Vec::with_capacity(parts.len());
            for part in parts {
                files.push(self.scratch.file(&piece.path(part)).await?);
            }
            Ok(FilesTable { files, rows, ..none })
        };
        let layout = Some(layout(rows, self.partitions())?);
        let keys = cache.file(piece, &piece.keys);
        let keys =
            keys.ok_or_else(|| DataFusionError::Internal("keys that are not there".into()))?;
        let aside = match piece.aside.is_empty() {
            true => None,
            false => Some(table(&piece.aside, aside).await?),
        };
        Ok(Readable {
            rows: FilesTable { layout, ..table(&piece.rows, rows).await? },
            aside,
            keys: KeyFile::open(keys, piece.keys.checksum)?,
        })
    }

    /// A piece of files that are read now, and the objects it will be.
    async fn fresh(
        &self,
        cache: &Cache,
        pass: Pass<'_>,
        files: Vec<SourceFile>,
    ) -> Result<(Piece, Readable, Vec<(PathBuf, String)>)> {
        let passed = pass.run().await?;
        let Rest::Collected(mut collected) = passed.rest else {
            return Err(DataFusionError::Internal("a piece is made of orders".into()));
        };
        let keys = collected.write_keys(self.scratch.path("fresh-keys"));
        let plan: Arc<dyn ExecutionPlan> = Arc::new(collected.cluster().await?.plan());
        let (rows, row_contents) = self.scratch.write(self.context, &plan, "fresh").await?;
        let keys = keys.join().await;
        let keys = keys.map_err(|error| DataFusionError::External(Box::new(error)))??;
        let (aside, aside_contents) = passed.aside.with_contents(self.context).await;
        let piece = Piece {
            name: cache.name(&files),
            files,
            read: passed.rows,
            rows: parts("part", &rows, &row_contents),
            aside: parts("aside", &aside, &aside_contents),
            keys: Part {
                name: "keys".into(),
                bytes: std::fs::metadata(keys.path())?.len(),
                rows: keys.count(),
                checksum: keys.checksum(),
            },
        };
        let local = |file: &TableFile| self.scratch.path(file.meta.location.as_ref());
        let mut objects = vec![(keys.path().to_path_buf(), piece.path(&piece.keys))];
        for (table, parts) in [(&rows, &piece.rows), (&aside, &piece.aside)] {
            let named = table.files.iter().zip(parts);
            objects.extend(named.map(|(file, part)| (local(file), piece.path(part))));
        }
        let aside = (!piece.aside.is_empty()).then_some(aside);
        Ok((piece, Readable { rows, aside, keys }, objects))
    }

    /// Pieces as one history, as of the day of the run.
    async fn together(
        &self,
        pieces: Vec<Readable>,
        read: u64,
        mut accepted: u64,
        aside: &SchemaRef,
        rules: &[Rule],
    ) -> Result<Counts> {
        let context = self.context;
        let late = Arc::new(Spool::new(self.scratch, "late", Arc::clone(aside)));
        let (mut scans, mut keys, mut asides) = (Vec::new(), Vec::new(), Vec::new());
        let mut whole = Vec::new();
        for piece in pieces {
            let found = self.late(&piece.rows, &late).await?;
            accepted -= found;
            let scan = piece.rows.scan(&context.state(), None, &[], None).await?;
            scans.push(if found > 0 { self.in_time(scan)? } else { scan });
            if found == 0 {
                whole.push(piece.rows);
            }
            keys.push(piece.keys);
            asides.extend(piece.aside);
        }
        asides.push(late.table(context).await);
        let mut all = Vec::new();
        for (number, table) in asides.into_iter().enumerate() {
            provide(context, &format!("aside_{number}"), Arc::new(table))?;
            all.push(format!("select * from ingest.aside_{number}"));
        }
        self.view("aside", &all.join(" union all ")).await?;
        self.view("rejected", &classify::rejected(self.source, rules)).await?;
        let sole = (scans.len() == 1).then(|| whole.pop()).flatten();
        let Some(first) = scans.first() else {
            return Err(DataFusionError::Internal("a history of no pieces".into()));
        };
        let schema = first.schema();
        let key = classify::key(self.source);
        let collected = Collected::of(context, &schema, &key, scans, keys)?;
        let accepted = self.orders(collected, accepted, sole, rules).await?;
        Ok(Counts::of_orders(read, accepted, self.rejected().await?))
    }

    /// Puts the rows of a piece aside that do not count on the day of the run;
    /// tells how many.
    async fn late(&self, piece: &FilesTable, spool: &Arc<Spool>) -> Result<u64> {
        provide(self.context, "piece", Arc::new(piece.clone()))?;
        let sql = classify::late(self.source, &classify::day_rules(self.plan));
        let mut rows = self.context.sql(&sql).await?.execute_stream().await?;
        let mut writer = spool.writer();
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            count += batch.num_rows() as u64;
            let columns = batch.columns().iter().zip(spool.schema().fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            writer.write(&RecordBatch::try_new(Arc::clone(spool.schema()), columns)?).await?;
        }
        writer.close().await?;
        Ok(count)
    }

    /// The rows that do count on that day.
    fn in_time(&self, scan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = DFSchema::try_from(scan.schema().as_ref().clone())?;
        let late = classify::any(&classify::day_rules(self.plan));
        let in_time = format!("not ({late})");
        let in_time = self.context.state().create_logical_expr(&in_time, &schema)?;
        let in_time = self.context.create_physical_expr(in_time, &schema)?;
        Ok(Arc::new(FilterExec::try_new(in_time, scan)?))
    }

    fn partitions(&self) -> usize {
        self.context.state().config().target_partitions()
    }
}

fn parts(name: &str, table: &FilesTable, contents: &[Written]) -> Vec<Part> {
    let files = table.files.iter().zip(contents).enumerate();
    let part = |(number, (file, written)): (usize, (&TableFile, &Written))| Part {
        name: format!("{name}-{number:05}.parquet"),
        bytes: file.meta.size,
        rows: written.rows as u64,
        checksum: written.checksum,
    };
    files.map(part).collect()
}
