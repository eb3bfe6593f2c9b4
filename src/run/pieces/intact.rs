//! Whether kept pieces are as they were written. Disks decay, and copies go wrong:
//! a piece is used only where every object of it has its size and its checksum.
//! One that has not is left out and named, and its files are read again: no night
//! fails for what only saves time.
//!
//! On a disk this is one more pass over bytes that the run reads right after it
//! from the system's cache. From any other store the objects are copied into the
//! scratch folder meanwhile and read from there, so that each crosses the network
//! once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures::StreamExt;
use object_store::ObjectStoreExt;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::super::target::SourceFile;
use super::{Cache, Failed, Index, Part, Piece};
use crate::engine::checksum::{self, Checksum};
use crate::engine::scratch::Scratch;

/// Objects looked at, or fetched, at the same time.
const OBJECTS_AT_ONCE: usize = 4;

/// The index, if it is as it was written; none if another build has written it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn index(bytes: &[u8], scheme: &str) -> Result<Option<Index>, String> {
    match serde_json::from_slice::<Index>(bytes) {
        Ok(index) => match checksum(&index.scheme, &index.pieces) {
            Ok(found) if found == index.checksum => Ok(Some(index)),
            _ => Err("has another checksum than it was written with".into()),
        },
        Err(_) if is_of_another(bytes, scheme) => Ok(None),
        Err(error) => Err(format!("cannot be read ({error})")),
    }
}

/// Whether it is an index of another scheme, which may have another form.
fn is_of_another(bytes: &[u8], scheme: &str) -> bool {
    #[derive(Deserialize)]
    struct Scheme {
        scheme: String,
    }
    serde_json::from_slice::<Scheme>(bytes).is_ok_and(|other| other.scheme != scheme)
}

/// The checksum of an index.
pub(super) fn checksum(scheme: &str, pieces: &[Piece]) -> serde_json::Result<u64> {
    Ok(checksum::of_bytes(&serde_json::to_vec(&(scheme, pieces))?))
}

impl Cache {
    /// Leaves out the pieces that would be used for these files and are not as they
    /// were written. Tells which, and what is wrong with the index.
    pub async fn intact(mut self, files: &[SourceFile], scratch: &Scratch) -> (Self, Vec<String>) {
        let mut sound: BTreeSet<String> = BTreeSet::new();
        loop {
            // Where one is left out, another may be chosen.
            let mut chosen = self.choose(files).kept;
            chosen.retain(|piece| !sound.contains(&piece.name));
            if chosen.is_empty() {
                let damages = std::mem::take(&mut self.damages);
                return (self, damages);
            }
            for (piece, damage) in self.look_at(&chosen, scratch).await {
                self.pieces.retain(|known| known.name != piece);
                self.damages.push(damage);
            }
            sound.extend(chosen.into_iter().map(|piece| piece.name));
        }
    }

    /// The pieces among these that are damaged, each with what to say of it.
    async fn look_at(&mut self, pieces: &[Piece], scratch: &Scratch) -> Vec<(String, String)> {
        let objects: Vec<_> =
            pieces.iter().flat_map(|piece| piece.parts().map(move |part| (piece, part))).collect();
        let looks = objects.into_iter().map(|(piece, part)| {
            let cache = &*self;
            async move { (piece, part, cache.look(piece, part, scratch).await) }
        });
        let looks: Vec<_> = looks.collect();
        let looks: Vec<_> =
            futures::stream::iter(looks).buffer_unordered(OBJECTS_AT_ONCE).collect().await;
        let mut damaged: Vec<(String, String)> = Vec::new();
        for (piece, part, look) in looks {
            let path = piece.path(part);
            match look {
                Ok(None) => {}
                Ok(Some(copy)) => drop(self.copies.insert(path, copy)),
                Err(_) if damaged.iter().any(|(name, _)| *name == piece.name) => {}
                Err(error) => damaged.push((
                    piece.name.clone(),
                    format!(
                        "the kept order history is damaged, and {} read again: {} {error}",
                        match piece.files.len() {
                            1 => "a file of the orders is".to_owned(),
                            files => format!("{files} files of the orders are"),
                        },
                        self.location.shown(&path),
                    ),
                )),
            }
        }
        damaged
    }

    /// Looks at one object; tells where its copy is, if one was made.
    async fn look(
        &self,
        piece: &Piece,
        part: &Part,
        scratch: &Scratch,
    ) -> Result<Option<PathBuf>, Failed> {
        let Some(meta) = self.meta(piece, part) else { return Err("is not there".into()) };
        if meta.size != part.bytes {
            return Err(format!("has {} bytes, not {}", meta.size, part.bytes).into());
        }
        let unreadable = |error: Failed| -> Failed { format!("cannot be read ({error})").into() };
        let path = piece.path(part);
        let (found, copy) = match self.location.folder() {
            Some(folder) => {
                let file = folder.join(path);
                let found = tokio::task::spawn_blocking(move || checksum::of_file(&file)).await?;
                (found.map_err(|error| unreadable(error.into()))?, None)
            }
            None => {
                let copy = scratch.path(&path);
                (self.fetch(&path, &copy).await.map_err(unreadable)?, Some(copy))
            }
        };
        match found == part.checksum {
            true => Ok(copy),
            false => Err("has another checksum than it was written with".into()),
        }
    }

    /// Copies an object into a file; tells the checksum of what came.
    async fn fetch(&self, path: &str, to: &PathBuf) -> Result<u64, Failed> {
        if let Some(folder) = to.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        let mut file = File::create(to).await?;
        let mut checksum = Checksum::default();
        let object = self.location.store().get(&self.location.path(path)).await?;
        let mut stream = object.into_stream();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes?;
            checksum.add(&bytes);
            file.write_all(&bytes).await?;
        }
        file.flush().await?;
        Ok(checksum.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(scheme: &str) -> Vec<u8> {
        let part = |name: &str| Part { name: name.into(), bytes: 4, rows: 1, checksum: 7 };
        let piece = Piece {
            name: "abc".into(),
            files: Vec::new(),
            read: 1,
            rows: vec![part("part-00000.parquet")],
            aside: Vec::new(),
            keys: part("keys"),
        };
        let pieces = vec![piece];
        let checksum = checksum(scheme, &pieces).expect("a checksum");
        serde_json::to_vec_pretty(&Index { scheme: scheme.into(), pieces, checksum }).expect("json")
    }

    #[test]
    fn an_index_is_read_as_it_was_written_or_not_at_all() {
        let bytes = written("s");
        let read = index(&bytes, "s").expect("sound").expect("ours");
        assert_eq!(read.pieces.len(), 1);
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << bit;
                // What is between values may change without a change of any.
                if let Ok(Some(found)) = index(&flipped, "s") {
                    assert_eq!(found.pieces, read.pieces, "{place} {bit}");
                    assert_eq!(found.scheme, read.scheme, "{place} {bit}");
                }
            }
        }
        let before = br#"{ "scheme": "older", "pieces": [{ "name": "x" }] }"#;
        assert!(index(before, "s").expect("not damaged").is_none());
    }

    #[tokio::test]
    async fn objects_of_another_store_are_fetched_once_and_used_where_they_are_sound() {
        let store = std::sync::Arc::new(object_store::memory::InMemory::new());
        let place = object_store::path::Path::from("t");
        let location = crate::storage::Location::new(store, place, "memory://t".into());
        let file = |name: &str| SourceFile { path: name.into(), bytes: 1, version: None };
        let mut pieces = Vec::new();
        for name in ["a", "b"] {
            let part = |of: &str| Part {
                name: of.into(),
                bytes: 4,
                rows: 1,
                checksum: checksum::of_bytes(b"rows"),
            };
            let rows = vec![part("part-00000.parquet")];
            let (files, keys) = (vec![file(name)], part("keys"));
            let piece = Piece { name: name.into(), files, read: 1, rows, aside: Vec::new(), keys };
            for part in piece.parts() {
                location.put(&piece.path(part), "rows".into()).await.expect("put");
            }
            pieces.push(piece);
        }
        location.put(&pieces[1].path(&pieces[1].keys), "rowz".into()).await.expect("put");
        let checksum = checksum("s", &pieces).expect("a checksum");
        let index = Index { scheme: "s".into(), pieces: pieces.clone(), checksum };
        let index = serde_json::to_vec(&index).expect("json");
        location.put(super::super::INDEX, index.into()).await.expect("put");

        let cache = Cache::open(&location, "s".into(), false).await.expect("open");
        let scratch = Scratch::new(None).expect("a folder");
        let files = [file("a"), file("b"), file("c")];
        let (cache, damages) = cache.intact(&files, &scratch).await;
        let choice = cache.choose(&files);
        assert_eq!(choice.kept, pieces[..1]);
        assert_eq!(choice.fresh, [1, 2]);
        assert_eq!(damages.len(), 1, "{damages:?}");
        assert!(damages[0].contains("memory://t/_tenure/cache/orders/b/keys"), "{damages:?}");
        let copy = cache.file(&pieces[0], &pieces[0].keys).expect("a copy");
        assert_eq!(std::fs::read(copy).expect("there"), b"rows");
        assert!(scratch.file(&pieces[0].path(&pieces[0].rows[0])).await.is_ok());
    }
}
