//! The columns of files of JSON, kept between runs: only all records of a file
//! tell what they are, and a night that brings one file reads one file.
//!
//! ```text
//! _tenure/cache/columns/<source>.json
//! ```
//!
//! What is not as it was written, or was found for another mapping, does not count.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::{IpcSchemaEncoder, try_schema_from_flatbuffer_bytes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::schema::FileSchema;
use super::source::Opened;
use super::target::SourceFile;
use crate::plan::SourcePlan;
use crate::storage::{Error, Location, hex};

/// Changes when types are found in another way.
const FORMAT: u32 = 1;

/// The columns of files that were read by earlier runs.
#[derive(Debug, Default)]
pub struct KeptColumns {
    scheme: String,
    files: BTreeMap<String, (SourceFile, FileSchema)>,
}

/// The columns of all files of a source, to be kept.
pub struct ColumnsToKeep {
    location: Location,
    path: String,
    content: Kept,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    sha256: String,
    /// The JSON of [`Content`].
    content: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    scheme: String,
    /// Each once: files are alike as a rule.
    schemas: Vec<Vec<u8>>,
    files: Vec<(SourceFile, Option<u64>, usize)>,
}

impl KeptColumns {
    /// Those of a source that were kept in a target; with `refresh` there are none.
    ///
    /// # Errors
    /// The store refuses or fails.
    pub async fn open(
        location: &Location,
        source: &SourcePlan,
        refresh: bool,
    ) -> Result<Self, Error> {
        let scheme = scheme(source);
        let found = location.get(&path(source)).await?;
        let content = found.and_then(|bytes| content(&bytes)).unwrap_or_default();
        if refresh || content.scheme != scheme {
            return Ok(Self { scheme, files: BTreeMap::new() });
        }
        let schemas: Vec<Option<SchemaRef>> = content
            .schemas
            .iter()
            .map(|bytes| try_schema_from_flatbuffer_bytes(bytes).ok().map(Arc::new))
            .collect();
        let files = content.files.into_iter().filter_map(|(file, rows, place)| {
            let schema = schemas.get(place)?.clone()?;
            Some((file.path.clone(), (file, FileSchema { schema, rows })))
        });
        Ok(Self { scheme, files: files.collect() })
    }

    /// The columns of a file, if it is as it was.
    pub fn of(&self, file: &SourceFile) -> Option<FileSchema> {
        let (known, schema) = self.files.get(&file.path)?;
        (known == file).then(|| schema.clone())
    }

    /// What to keep instead; nothing where it would be the same, or where there is
    /// but one file, which is read anyway when it changes.
    pub fn renewed(
        self,
        location: &Location,
        source: &SourcePlan,
        opened: &Opened,
    ) -> Option<ColumnsToKeep> {
        let files = &opened.files;
        let is_same =
            self.files.len() == files.len() && files.iter().all(|file| self.of(file).is_some());
        if files.len() < 2 || is_same {
            return None;
        }
        let mut content = Content { scheme: self.scheme, ..Content::default() };
        for (file, FileSchema { schema, rows }) in files.iter().zip(&opened.schemas) {
            let bytes = IpcSchemaEncoder::new().schema_to_fb(schema).finished_data().to_vec();
            let known = content.schemas.iter().position(|known| *known == bytes);
            let place = known.unwrap_or_else(|| {
                content.schemas.push(bytes);
                content.schemas.len() - 1
            });
            content.files.push((file.clone(), *rows, place));
        }
        let content = serde_json::to_string(&content).ok()?;
        let content = Kept { sha256: digest(&content), content };
        Some(ColumnsToKeep { location: location.clone(), path: path(source), content })
    }
}

impl ColumnsToKeep {
    /// Keeps them.
    ///
    /// # Errors
    /// The store refuses or fails.
    pub async fn keep(self) -> Result<(), Error> {
        let bytes = serde_json::to_vec(&self.content).unwrap_or_default();
        self.location.put(&self.path, bytes.into()).await
    }
}

fn path(source: &SourcePlan) -> String {
    format!("_tenure/cache/columns/{}.json", source.kind.name)
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// What was written, if it is still that.
fn content(bytes: &[u8]) -> Option<Content> {
    let Kept { sha256, content } = serde_json::from_slice(bytes).ok()?;
    (digest(&content) == sha256).then(|| serde_json::from_str(&content).ok())?
}

/// All that types depend on but the files: those of columns that nothing is made
/// from are not looked for.
fn scheme(source: &SourcePlan) -> String {
    let columns = source.columns.iter().map(|m| format!("{}: {}", m.column.name, m.expression));
    let reject = source.reject.iter().map(|reject| format!("reject: {}", reject.expression));
    let all: Vec<String> = columns.chain(reject).collect();
    digest(&format!("{FORMAT} {} {}\n{all:?}", env!("CARGO_PKG_VERSION"), source.url))
}
