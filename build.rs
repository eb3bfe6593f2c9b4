//! Makes cargo notice when a file is added to or removed from `sql/`, which
//! the binary carries, and gives the build a name: what one build has
//! computed, another one must not take for its own.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=sql");
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=Cargo.lock");
    let mut files = vec![PathBuf::from("Cargo.lock")];
    collect(Path::new("src"), &mut files);
    files.sort();
    let name = files.iter().fold(FNV_START, |hash, file| {
        let text = fs::read(file).unwrap_or_default();
        let path = file.to_string_lossy().replace('\\', "/");
        fnv(fnv(hash, path.as_bytes()), &text)
    });
    println!("cargo:rustc-env=TENURE_BUILD={name:016x}");
}

/// The Rust sources; models are compared by their own text.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path if path.extension().is_some_and(|ending| ending == "rs") => files.push(path),
            _ => {}
        }
    }
}

/// FNV-1a: builds are told apart, nobody is kept from forging one.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
