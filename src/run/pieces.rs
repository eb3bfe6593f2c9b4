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
//! not as the index says does not count: every object of it has its size and
//! checksum there, and so has the index itself (see `intact`). So whatever a crash
//! or a decaying disk leaves can be used or is read again. Nothing is published
//! from here that the files of the source would not give.

mod intact;

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
    /// Of the other two.
    checksum: u64,
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
    /// The checksum of its bytes.
    pub checksum: u64,
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
    /// Copies on this machine of objects of another store, by path.
    copies: BTreeMap<String, PathBuf>,
    /// What is to be told of pieces that cannot be used.
    damages: Vec<String>,
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
        let mut damages = Vec::new();
        let index = match location.get(INDEX).await {
            _ if refresh => Ok(None),
            Ok(content) => content.map_or(Ok(None), |bytes| intact::index(&bytes, &scheme)),
            Err(error) => Err(format!("cannot be read ({})", error.explained().what)),
        };
        let index = index.unwrap_or_else(|damage| {
            let index = location.shown(INDEX);
            damages.push(format!(
                "the kept order history is damaged, and all orders are read again: {index} {damage}"
            ));
            None
        });
        let made_alike = index.filter(|index| index.scheme == scheme);
        let pieces = made_alike.map(|index| index.pieces).unwrap_or_default();
        let (location, copies) = (location.clone(), BTreeMap::new());
        Ok(Self { location, scheme, pieces, found, copies, damages })
    }

    /// An object of a piece that is there.
    pub fn meta(&self, piece: &Piece, part: &Part) -> Option<&ObjectMeta> {
        self.found.get(&piece.path(part))
    }

    /// The file of this machine that an object of a piece is, or is copied to.
    pub fn file(&self, piece: &Piece, part: &Part) -> Option<PathBuf> {
        let path = piece.path(part);
        match self.location.folder() {
            Some(folder) => Some(folder.join(path)),
            None => self.copies.get(&path).cloned(),
        }
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

    /// The name of a piece of these files that is not there yet: what the index names
    /// must not be written over by a run that may still fail.
    pub fn name(&self, files: &[SourceFile]) -> String {
        let name = self.name_of(files);
        let is_taken = |name: &str| {
            let folder = format!("{CACHE}/{name}/");
            let next = self.found.range(folder.clone()..).next();
            next.is_some_and(|(path, _)| path.starts_with(&folder))
        };
        let again = (1_u32..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.clone()).chain(again);
        names.find(|name| !is_taken(name)).unwrap_or_default()
    }

    fn name_of(&self, files: &[SourceFile]) -> String {
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
        let Self { location, scheme, found, pieces: before, .. } = self;
        let named: BTreeSet<String> =
            pieces.iter().flat_map(Piece::paths).chain([INDEX.to_string()]).collect();
        if before != pieces {
            let checksum = intact::checksum(&scheme, &pieces)?;
            let index = Index { scheme, pieces, checksum };
            location.put(INDEX, serde_json::to_vec_pretty(&index)?.into()).await?;
        }
        // Only what was there before: another run may have begun its own.
        let unnamed: Vec<String> = found.into_keys().filter(|path| !named.contains(path)).collect();
        location.delete_all(&unnamed).await?;
        Ok(())
    }
}
