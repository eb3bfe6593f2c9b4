//! How fast a file gets into a store: the way tenure stages a table (counted,
//! hashed, in parts, under its lock), or as a plain copy in parts of the same
//! size. Prints the seconds as JSON. `make bench SCENARIO=upload` runs both in
//! turn, beside boto3.
//!
//! The store is configured by the environment, as for a run.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use object_store::{ObjectStoreExt, PutPayload};
use tenure::run::target::{Clock, LockTimes, RunId, Target};
use tenure::storage::{self, Location};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// What the encoder of a table hands on at once, roughly: a row group.
const CHUNK_BYTES: usize = 8 << 20;
/// Parts of the plain copy, and as many in flight as tenure has.
const PART_BYTES: usize = 10 << 20;
const PARTS_IN_FLIGHT: usize = 4;

fn main() -> ExitCode {
    // Cargo adds `--bench` behind what it is told.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [how, url, path] = words.as_slice() else {
        eprintln!("usage: upload tenure|copy URL FILE");
        return ExitCode::from(2);
    };
    let done = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(how, url, path)));
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{url}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(how: &str, url: &str, path: &str) -> Result<String, Box<dyn Error>> {
    let environment = storage::process_environment();
    let location = storage::open(url, Path::new("."), &environment, &BTreeMap::new())?;
    let file = File::open(path).await?;
    let (seconds, bytes) = match how {
        "tenure" => staged(location, file).await?,
        "copy" => copied(&location, file).await?,
        other => return Err(format!("`{other}` is neither tenure nor copy").into()),
    };
    Ok(format!("{{\"seconds\": {seconds:.3}, \"bytes\": {bytes}}}"))
}

/// As a run stages a table; the clock runs while it has the lock in hand.
async fn staged(location: Location, mut file: File) -> Result<(f64, u64), Box<dyn Error>> {
    let clock = Clock::system();
    let run_id = RunId::fresh(&clock);
    let target = Target::new(location, clock, LockTimes::default());
    let claim = target.claim(run_id).await?;
    let begun = Instant::now();
    let mut upload = claim.upload("bench.upload", "2026-11-24".parse()?, 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = fill(&mut file, &mut chunk).await?;
        if length == 0 {
            break;
        }
        upload.write(&chunk[..length]).await?;
    }
    let staged = upload.finish(0).await?;
    let seconds = begun.elapsed().as_secs_f64();
    claim.release().await;
    Ok((seconds, staged.bytes))
}

/// The client's own upload in parts, nothing else.
async fn copied(location: &Location, mut file: File) -> Result<(f64, u64), Box<dyn Error>> {
    let begun = Instant::now();
    let store = location.store();
    let mut upload = store.put_multipart(&location.path("copy.parquet")).await?;
    let mut flying = FuturesUnordered::new();
    let mut bytes = 0;
    loop {
        let mut part = vec![0; PART_BYTES];
        let length = fill(&mut file, &mut part).await?;
        if length == 0 {
            break;
        }
        part.truncate(length);
        bytes += length as u64;
        if flying.len() == PARTS_IN_FLIGHT
            && let Some(done) = flying.next().await
        {
            let () = done??;
        }
        flying.push(tokio::spawn(upload.put_part(PutPayload::from(Bytes::from(part)))));
    }
    while let Some(done) = flying.next().await {
        let () = done??;
    }
    upload.complete().await?;
    Ok((begun.elapsed().as_secs_f64(), bytes))
}

/// Reads until the buffer is full or the file ends.
async fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]).await? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
