//! What `delta_kernel` asks of its surroundings, answered from a place of ours: files of
//! the log are listed and read, nothing is ever written.
//!
//! The kernel is synchronous. It runs on a thread that may block, and waits there for
//! what the store answers. It knows the table by a URL of no meaning, so that no name of
//! a folder has to be written as a URL and back.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::engine::arrow_expression::ArrowEvaluationHandler;
use delta_kernel::engine::arrow_utils::{
    RowIndexBuilder, build_json_reorder_indices, fixup_json_read, fixup_parquet_read,
    json_arrow_schema, ordering_needs_row_indexes, parquet_read_plan, parse_json,
};
use delta_kernel::engine::reader_options;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::schema::{SchemaRef, StructType};
use delta_kernel::{
    Engine, EngineData, EvaluationHandler, FileDataReadResultIterator, FileMeta, FileSlice,
    JsonHandler, KernelError, KernelResult, KernelResultIterator, KernelResultIteratorStatic,
    ParquetFooter, ParquetHandler, PredicateRef, StorageHandler,
};
use futures::TryStreamExt;
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::runtime::Handle;
use url::Url;

use crate::storage::Location;

/// The table, as the kernel knows it.
pub const TABLE: &str = "memory:///table/";
const TABLE_PATH: &str = "/table/";

/// What stands in a URL as it is.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'=');

/// Actions of the log looked at together.
const BATCH_ROWS: usize = 8192;

type Data = Box<dyn EngineData>;

/// A table's folder, for the kernel to read in.
pub struct FolderEngine {
    files: Arc<Files>,
}

impl FolderEngine {
    /// The kernel's view of a place; on a thread that may block.
    pub fn new(location: &Location, runtime: Handle) -> Self {
        Self { files: Arc::new(Files { location: location.clone(), runtime }) }
    }
}

impl Engine for FolderEngine {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        Arc::new(ArrowEvaluationHandler)
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        Arc::clone(&self.files) as _
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::clone(&self.files) as _
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        Arc::clone(&self.files) as _
    }
}

/// The files of a table.
struct Files {
    location: Location,
    runtime: Handle,
}

impl Files {
    /// The store's path of a URL that the kernel made.
    fn path(&self, url: &Url) -> KernelResult<Path> {
        let relative = url.path().strip_prefix(TABLE_PATH).filter(|_| url.scheme() == "memory");
        let Some(relative) = relative else {
            let message = format!("`{url}` lies outside of the table's folder");
            return Err(KernelError::Unsupported(message));
        };
        let parts = relative.split('/').filter(|part| !part.is_empty());
        parts.map(|part| percent_decode_str(part).decode_utf8()).try_fold(
            self.location.prefix().clone(),
            |path, part| {
                let part = part?;
                Ok(match PathPart::parse(&part) {
                    Ok(part) => path.join(part),
                    Err(_) => path.join(part.as_ref()),
                })
            },
        )
    }

    /// The URL of a file, as the kernel is told it.
    fn url(&self, path: &Path) -> KernelResult<Url> {
        let known = self.location.prefix().parts().count();
        let parts = path.parts().skip(known);
        let parts = parts.map(|part| utf8_percent_encode(part.as_ref(), ENCODED).to_string());
        Ok(Url::parse(TABLE)?.join(&parts.collect::<Vec<_>>().join("/"))?)
    }

    fn meta(&self, meta: &ObjectMeta) -> KernelResult<FileMeta> {
        let location = self.url(&meta.location)?;
        Ok(FileMeta::new(location, meta.last_modified.timestamp_millis(), meta.size))
    }

    fn get(&self, url: &Url) -> KernelResult<Bytes> {
        let path = self.path(url)?;
        self.runtime.block_on(async { Ok(self.location.store().get(&path).await?.bytes().await?) })
    }

    /// A file of the log or a checkpoint as rows; its checkpoints have a row a file.
    fn parquet(&self, file: &FileMeta, schema: &SchemaRef) -> KernelResult<Batches> {
        let bytes = self.get(&file.location)?;
        let metadata = ArrowReaderMetadata::load(&bytes, reader_options())?;
        let (ordering, mask) = parquet_read_plan(schema, &metadata)?;
        let mut row_indexes = ordering_needs_row_indexes(&ordering)
            .then(|| RowIndexBuilder::new(metadata.metadata().row_groups()).build())
            .transpose()?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
        let builder = match mask {
            Some(mask) => builder.with_projection(mask),
            None => builder,
        };
        let reader = builder.with_batch_size(BATCH_ROWS).build()?;
        let (schema, place) = (Arc::clone(schema), file.location.to_string());
        Ok(Box::new(reader.map(move |batch| {
            let indexes = row_indexes.as_mut();
            let data = fixup_parquet_read(batch?, &ordering, indexes, Some(&place), Some(&schema))?;
            Ok(Box::new(data) as Data)
        })))
    }

    /// A commit as rows, an action each.
    fn json(&self, file: &FileMeta, schema: &SchemaRef) -> KernelResult<Batches> {
        let bytes = self.get(&file.location)?;
        let reader = arrow::json::ReaderBuilder::new(Arc::new(json_arrow_schema(schema)?))
            .with_batch_size(BATCH_ROWS)
            .with_coerce_primitive(true)
            .build(Cursor::new(bytes))?;
        let ordering = build_json_reorder_indices(schema)?;
        let place = file.location.to_string();
        // The reader repeats an error for ever.
        let mut has_failed = false;
        let batches =
            reader.take_while(move |batch| !std::mem::replace(&mut has_failed, batch.is_err()));
        Ok(Box::new(
            batches.map(move |batch| {
                Ok(Box::new(fixup_json_read(batch?, &ordering, &place)?) as Data)
            }),
        ))
    }
}

/// The rows of a file.
type Batches = Box<dyn Iterator<Item = KernelResult<Data>> + Send>;

/// The rows of files, one file after another, each read when it is asked for.
fn all(
    files: &[FileMeta],
    read: impl Fn(&FileMeta) -> KernelResult<Batches> + Send + 'static,
) -> FileDataReadResultIterator {
    // Whoever reads keeps its own list of them.
    let files = Vec::from(files);
    Box::new(files.into_iter().flat_map(move |file| -> Batches {
        match read(&file) {
            Ok(batches) => batches,
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }))
}

fn read_only<T>() -> KernelResult<T> {
    Err(KernelError::Unsupported("a source is only read".into()))
}

impl StorageHandler for Files {
    fn list_from(&self, url: &Url) -> KernelResult<KernelResultIteratorStatic<FileMeta>> {
        let from = self.path(url)?;
        let folder = match url.path().ends_with('/') {
            true => from.clone(),
            false => {
                let above = from.parts().count().saturating_sub(1);
                Path::from_iter(from.parts().take(above))
            }
        };
        let listed = self.runtime.block_on(async {
            let listed = self.location.store().list_with_offset(Some(&folder), &from);
            listed.try_collect::<Vec<ObjectMeta>>().await
        });
        let listed = match listed {
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            listed => listed?,
        };
        let metas = listed.iter().map(|meta| self.meta(meta));
        let mut metas = metas.collect::<KernelResult<Vec<_>>>()?;
        metas.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(Box::new(metas.into_iter().map(Ok)))
    }

    fn read_files(&self, files: Vec<FileSlice>) -> KernelResult<KernelResultIteratorStatic<Bytes>> {
        let read = files.into_iter().map(|(url, range)| match range {
            None => self.get(&url),
            Some(range) => {
                let path = self.path(&url)?;
                let store = self.location.store();
                Ok(self.runtime.block_on(store.get_range(&path, range))?)
            }
        });
        // A deletion vector or two at a time.
        Ok(Box::new(read.collect::<Vec<_>>().into_iter()))
    }

    fn head(&self, url: &Url) -> KernelResult<FileMeta> {
        let path = self.path(url)?;
        let meta = self.runtime.block_on(self.location.store().head(&path))?;
        self.meta(&meta)
    }

    fn copy_atomic(&self, _: &Url, _: &Url) -> KernelResult<()> {
        read_only()
    }

    fn put(&self, _: &Url, _: Bytes, _: bool) -> KernelResult<()> {
        read_only()
    }

    fn delete(&self, _: &Url) -> KernelResult<()> {
        read_only()
    }
}

/// The same files, for the readers that go on while the kernel does something else.
fn shared(files: &Files) -> Files {
    Files { location: files.location.clone(), runtime: files.runtime.clone() }
}

impl JsonHandler for Files {
    fn parse_json(&self, texts: Data, schema: SchemaRef) -> KernelResult<Data> {
        parse_json(texts, schema)
    }

    fn read_json_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        _: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        let own = shared(self);
        Ok(all(files, move |file| own.json(file, &schema)))
    }

    fn write_json_file(
        &self,
        _: &Url,
        _: KernelResultIterator<'_, FilteredEngineData>,
        _: bool,
    ) -> KernelResult<u64> {
        read_only()
    }
}

impl ParquetHandler for Files {
    fn read_parquet_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        _: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        let own = shared(self);
        Ok(all(files, move |file| own.parquet(file, &schema)))
    }

    fn write_parquet_file(&self, _: Url, _: KernelResultIteratorStatic<Data>) -> KernelResult<u64> {
        read_only()
    }

    fn read_parquet_footer(&self, file: &FileMeta) -> KernelResult<ParquetFooter> {
        let bytes = self.get(&file.location)?;
        let metadata = ArrowReaderMetadata::load(&bytes, reader_options())?;
        let schema = StructType::try_from_arrow(metadata.schema().as_ref())?;
        Ok(ParquetFooter { schema: Arc::new(schema) })
    }
}
