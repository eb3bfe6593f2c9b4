//! The checksum that the manifest carries of itself. A bit that flips in it could
//! name another file, column or count: nothing is read by such a manifest.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::storage::{Location, hex};

use super::error::Error;
use super::manifest::{CURRENT, Manifest, to_json};

/// The manifest as it is stored.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn sealed(manifest: &Manifest, location: &Location) -> Result<Bytes, Error> {
    let open = seal(manifest, &UNSEALED);
    let manifest = Manifest { seal: Some(open.clone()), ..manifest.clone() };
    let json = to_json(&manifest, location, CURRENT)?;
    let text = String::from_utf8_lossy(&json);
    let closed = seal(&manifest, &Sha256::digest(&json));
    Ok(text.replacen(&open, &closed, 1).into())
}

/// What stands for the checksum while it is computed.
const UNSEALED: [u8; 32] = [0; 32];

/// With the write id, so that a version that knows no seals leaves none that counts.
fn seal(manifest: &Manifest, sha256: &[u8]) -> String {
    format!("{}-{}", manifest.write_id, hex(sha256))
}

/// Whether the manifest is as it was written, as far as its seal tells.
pub(super) fn is_unbroken(manifest: &Manifest, content: &[u8]) -> bool {
    let Some(closed) = &manifest.seal else { return true };
    if !closed.starts_with(&format!("{}-", manifest.write_id)) {
        return true;
    }
    let text = String::from_utf8_lossy(content);
    let open = text.replacen(closed.as_str(), &seal(manifest, &UNSEALED), 1);
    seal(manifest, &Sha256::digest(open.as_bytes())) == *closed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::clock::RunId;
    use super::super::manifest::{DataFile, Entry, parse};
    use super::*;

    #[test]
    fn a_manifest_that_was_written_is_read_and_one_with_a_flipped_bit_is_not() {
        let place = Location::new(
            std::sync::Arc::new(object_store::memory::InMemory::new()),
            object_store::path::Path::default(),
            "memory://".into(),
        );
        let mut manifest = Manifest::empty();
        let entry = Entry {
            files: vec![DataFile {
                path: "_tenure/sets/r/t/as_of=2024-01-31/part-00000.parquet".into(),
                rows: 7,
                bytes: 99,
                sha256: "ab".repeat(32),
            }],
            rows: 7,
            bytes: 99,
            schema: "s".into(),
            grain: vec!["customer_id".into()],
            run_id: RunId::new(chrono::DateTime::UNIX_EPOCH, 7),
            fingerprint: None,
            more: BTreeMap::new(),
        };
        let day = "2024-01-31".parse().expect("a day");
        manifest.tables.insert("facts.t".into(), BTreeMap::from([(day, entry)]));
        let bytes = sealed(&manifest, &place).expect("json");
        let read = parse(&bytes, "m").expect("as written");
        assert_eq!(read.tables, manifest.tables);
        for place in 0..bytes.len() {
            for bit in [0, 2, 5] {
                let mut flipped = bytes.to_vec();
                flipped[place] ^= 1 << bit;
                // Of the ids that tell writes apart nothing else depends.
                if let Ok(found) = parse(&flipped, "m") {
                    assert_eq!(found.tables, manifest.tables, "{place} {bit}");
                    assert_eq!(found.schemas, manifest.schemas, "{place} {bit}");
                }
            }
        }
    }
}
