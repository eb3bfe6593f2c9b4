//! The order history in pieces that outlive a run: accepted rows in the
//! clustered order, what was set aside beside them, and the images of their
//! keys. A night that brings one file reads one file.
//!
//! ```text
//! _tenure/cache/orders/index.json                   which pieces there are
//! _tenure/cache/orders/<piece>/part-00000.parquet   a partition of its rows
//! _tenure/cache/orders/<piece>/aside-00000.parquet  rows set aside
//! _tenure/cache/orders/<piece>/keys                 images of keys
//! ```
//!
//! **Invariant:** the index is written after all it names, and a piece that is
//! not as the index says does not count. So whatever a crash leaves can be
//! used or is ignored. Nothing is published from here that the files of the
//! source would not give.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use datafusion::common::runtime::SpawnedTask;
use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::target::SourceFile;
use crate::storage::{Depth, Error, Location, Upload, hex};

/// Where pieces are, relative to the target.
pub const CACHE: &str = "_tenure/cache/orders";
const INDEX: &str = "_tenure/cache/orders/index.json";

/// Pieces at most: each costs a little whenever they are merged.
const PIECES_MAX: usize = 16;

/// Pieces that become one when there are more: the smallest.
const PIECES_FOLDED: usize = PIECES_MAX / 2;

/// Bytes of a piece read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Which pieces there are, and under which scheme they were made.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Index {
    scheme: String,
    pieces: Vec<Piece>,
}

/// Rows of some files of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The name of its folder.
    pub name: String,
    /// The files its rows are from.
    pub files: Vec<SourceFile>,
    /// Rows of these files.
    pub read: u64,
    /// Rows in order, one file a partition.
    pub rows: Vec<Part>,
    /// Rows set aside whatever the day.
    pub aside: Vec<Part>,
    /// Images of the keys of the rows in order.
    pub keys: Part,
}

/// An object of a piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the folder of the piece.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows, or keys.
    pub rows: u64,
}

impl Piece {
    /// Rows that are in order.
    pub fn accepted(&self) -> u64 {
        self.rows.iter().map(|part| part.rows).sum()
    }

    /// The path of one of its objects, relative to the target.
    pub fn path(&self, part: &Part) -> String {
        format!("{CACHE}/{}/{}", self.name, part.name)
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.rows.iter().chain(&self.aside).chain([&self.keys])
    }

    fn paths(&self) -> impl Iterator<Item = String> {
        self.parts().map(|part| self.path(part))
    }
}

/// The pieces of a target.
#[derive(Debug)]
pub struct Cache {
    location: Location,
    scheme: String,
    pieces: Vec<Piece>,
    /// What was there when it was opened.
    found: BTreeMap<String, ObjectMeta>,
}

/// Which pieces stay and which files are read.
#[derive(Debug)]
pub struct Choice {
    /// Pieces whose files are as they were.
    pub kept: Vec<Piece>,
    /// Places of the other files.
    pub fresh: Vec<usize>,
}

impl Cache {
    /// Opens the pieces of a target that were made under a scheme; with
    /// `refresh` there are none.
    ///
    /// # Errors
    /// The store refuses or fails.
    pub async fn open(location: &Location, scheme: String, refresh: bool) -> Result<Self, Error> {
        let found: BTreeMap<_, _> = location.list(CACHE).await?.into_iter().collect();
        let index = match location.get(INDEX).await? {
            // What cannot be read was written by another version.
            Some(bytes) => serde_json::from_slice::<Index>(&bytes).unwrap_or_default(),
            None => Index::default(),
        };
        let mut pieces = index.pieces;
        let whole = |piece: &Piece| {
            let size = |part: &Part| found.get(&piece.path(part)).map(|meta| meta.size);
            piece.parts().all(|part| size(part) == Some(part.bytes))
        };
        pieces.retain(|piece| !refresh && index.scheme == scheme && whole(piece));
        Ok(Self { location: location.clone(), scheme, pieces, found })
    }

    /// An object of a piece that is there.
    pub fn meta(&self, piece: &Piece, part: &Part) -> Option<&ObjectMeta> {
        self.found.get(&piece.path(part))
    }

    /// Where the pieces are.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Which pieces can be used for these files, and which files have to be
    /// read. The smallest pieces are read again, as one, when there are many.
    pub fn choose(&self, files: &[SourceFile]) -> Choice {
        let known: BTreeMap<&str, &SourceFile> =
            files.iter().map(|file| (file.path.as_str(), file)).collect();
        let same = |file: &SourceFile| known.get(file.path.as_str()) == Some(&file);
        let mut kept: Vec<Piece> = self.pieces.clone();
        kept.retain(|piece| piece.files.iter().all(same));
        kept.sort_by(|a, b| (b.read, &b.name).cmp(&(a.read, &a.name)));
        let covered = |kept: &[Piece]| -> usize { kept.iter().map(|p| p.files.len()).sum() };
        if kept.len() + usize::from(covered(&kept) < files.len()) > PIECES_MAX {
            kept.truncate(PIECES_MAX - PIECES_FOLDED);
        }
        let covered: BTreeSet<&str> =
            kept.iter().flat_map(|piece| &piece.files).map(|file| file.path.as_str()).collect();
        let fresh = files.iter().enumerate();
        let fresh = fresh.filter(|(_, file)| !covered.contains(file.path.as_str()));
        let fresh = fresh.map(|(place, _)| place).collect();
        Choice { kept, fresh }
    }

    /// The name of a piece of these files.
    pub fn name(&self, files: &[SourceFile]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.scheme);
        for file in files {
            let version = file.version.as_deref().unwrap_or("");
            hasher.update(format!("\n{}\n{}\n{version}", file.path, file.bytes));
        }
        hex(&hasher.finalize()[..16])
    }

    /// Begins to store the objects of a piece, which are files and where they
    /// go; the run goes on meanwhile. `pieces` are all that count from now on.
    pub fn renew(self, pieces: Vec<Piece>, objects: Vec<Object>) -> Renewal {
        let storing = SpawnedTask::spawn(begin(self.location.clone(), objects));
        Renewal { cache: self, pieces, storing }
    }
}

/// Why a piece could not be stored.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A file, and where it goes.
type Object = (PathBuf, String);

/// Stores what takes no room on a disk that others need; tells what is left.
async fn begin(location: Location, objects: Vec<Object>) -> Result<Vec<Object>, Failed> {
    let mut left = Vec::new();
    for (from, to) in objects {
        if location.folder().is_none() {
            copy(&location, &from, &to).await?;
        } else if !location.link(&from, &to).await? {
            left.push((from, to));
        }
    }
    Ok(left)
}

async fn copy(location: &Location, from: &Path, to: &str) -> Result<(), Failed> {
    let mut file = tokio::fs::File::open(from).await?;
    let mut upload = location.upload(to);
    let sent = send(&mut file, &mut upload).await;
    match sent {
        Ok(()) => Ok(upload.finish().await?),
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn send(file: &mut tokio::fs::File, upload: &mut Upload) -> Result<(), Failed> {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    while file.read_buf(&mut chunk).await? > 0 {
        upload.write(&chunk).await?;
        chunk.clear();
    }
    Ok(())
}

/// Pieces on their way into the target. Dropped, they do not arrive.
pub struct Renewal {
    cache: Cache,
    pieces: Vec<Piece>,
    storing: SpawnedTask<Result<Vec<Object>, Failed>>,
}

impl Renewal {
    /// Stores what is left, names the pieces in the index, once they are there, and
    /// removes what it does not name.
    ///
    /// # Errors
    /// They could not be stored. The index is as it was, and nothing new is there.
    pub async fn finish(self) -> Result<(), Failed> {
        let Self { cache, pieces, storing } = self;
        let stored = async {
            for (from, to) in storing.join().await?? {
                copy(&cache.location, &from, &to).await?;
            }
            Ok(())
        };
        let stored: Result<(), Failed> = stored.await;
        // What a crash left half written takes up room that nobody sees.
        cache.location.sweep(CACHE, Depth::All).await;
        match stored {
            Ok(()) => cache.index(pieces).await,
            Err(error) => {
                let all = pieces.iter().flat_map(Piece::paths);
                let new: Vec<_> = all.filter(|path| !cache.found.contains_key(path)).collect();
                cache.location.delete_all(&new).await?;
                Err(error)
            }
        }
    }
}

impl Cache {
    /// Names the pieces that count from now on, and removes what is none of theirs.
    async fn index(self, pieces: Vec<Piece>) -> Result<(), Failed> {
        let Self { location, scheme, found, pieces: before } = self;
        let named: BTreeSet<String> =
            pieces.iter().flat_map(Piece::paths).chain([INDEX.to_string()]).collect();
        if before != pieces {
            let index = Index { scheme, pieces };
            location.put(INDEX, serde_json::to_vec_pretty(&index)?.into()).await?;
        }
        // Only what was there before: another run may have begun its own.
        let unnamed: Vec<String> = found.into_keys().filter(|path| !named.contains(path)).collect();
        location.delete_all(&unnamed).await?;
        Ok(())
    }
}
