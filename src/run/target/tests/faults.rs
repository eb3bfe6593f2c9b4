//! Every request of a run fails in turn, before or after the store has acted.
//!
//! Whatever happens: a run publishes a whole set or nothing, says truly which,
//! the manifest is always readable, and a following run succeeds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use super::support::*;
use crate::run::target::*;
use crate::storage::{Location, Writers};

/// When a fault strikes, and what the client says then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The connection breaks before the store acts.
    ResetBefore,
    /// It breaks after: done, but nobody says so.
    ResetAfter,
    /// A retry inside the client meets its own object.
    ConflictAfter,
    /// The store says 409 and has done nothing.
    ConflictBefore,
    /// This request and the nine after it break before the store acts: more
    /// than is retried.
    Outage,
}

const FAULTS: [Fault; 5] = [
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::ConflictAfter,
    Fault::ConflictBefore,
    Fault::Outage,
];

const OUTAGE_REQUESTS: usize = 10;

/// A store whose request number `at` fails.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn ObjectStore>,
    requests: AtomicUsize,
    at: usize,
    fault: Fault,
}

impl Faulty {
    fn strike(&self) -> Option<Fault> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let strikes = match self.fault {
            Fault::Outage => (self.at..self.at + OUTAGE_REQUESTS).contains(&number),
            _ => number == self.at,
        };
        strikes.then_some(self.fault)
    }

    async fn request<T>(
        &self,
        conflict: Option<StoreError>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match (self.strike(), conflict) {
            (None, _) => work.await,
            (Some(Fault::ResetAfter), _) | (Some(Fault::ConflictAfter), None) => {
                work.await?;
                Err(reset())
            }
            (Some(Fault::ConflictAfter), Some(conflict)) => {
                work.await?;
                Err(conflict)
            }
            (Some(Fault::ConflictBefore), Some(conflict)) => Err(conflict),
            (Some(Fault::ResetBefore | Fault::Outage | Fault::ConflictBefore), _) => Err(reset()),
        }
    }
}

fn reset() -> StoreError {
    StoreError::Generic { store: "Faulty", source: "connection reset by peer".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let path = location.to_string();
        let conflict = match &opts.mode {
            PutMode::Overwrite => None,
            PutMode::Create => Some(StoreError::AlreadyExists { path, source: "409".into() }),
            PutMode::Update(_) => Some(StoreError::Precondition { path, source: "412".into() }),
        };
        self.request(conflict, self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.request(None, self.inner.put_multipart_opts(location, opts)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.request(None, self.inner.get_opts(location, options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (strike, inner) = (self.strike(), Arc::clone(&self.inner));
        locations
            .then(move |location| {
                let inner = Arc::clone(&inner);
                async move {
                    let location = location?;
                    match strike {
                        None => inner.delete(&location).await.map(|()| location),
                        Some(Fault::ResetAfter | Fault::ConflictAfter) => {
                            inner.delete(&location).await?;
                            Err(reset())
                        }
                        Some(_) => Err(reset()),
                    }
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.strike() {
            None => self.inner.list(prefix),
            Some(_) => futures::stream::once(async { Err(reset()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.request(None, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.request(None, self.inner.copy_opts(from, to, options)).await
    }
}

/// The place behind a fault, and the counter of its requests.
fn faulty(location: &Location, at: usize, fault: Fault) -> (Location, Arc<Faulty>) {
    let faulty = Arc::new(Faulty {
        inner: Arc::clone(location.store()),
        requests: AtomicUsize::new(0),
        at,
        fault,
    });
    let store: Arc<dyn ObjectStore> = Arc::clone(&faulty) as _;
    (location.clone().decorated(|_| store), faulty)
}

#[tokio::test]
async fn every_request_may_fail_before_and_after_in_memory() {
    every_request_fails_in_turn(memory).await;
}

#[tokio::test]
async fn every_request_may_fail_before_and_after_on_disk() {
    every_request_fails_in_turn(disk).await;
}

async fn every_request_fails_in_turn(place: fn() -> Place) {
    let mut points = 0;
    for fault in FAULTS {
        for at in 0.. {
            let place = place();
            let location = &place.location;
            run(location, "2026-11-20", &["old"]).await.expect("the run before");
            let (broken, counter) = faulty(location, at, fault);
            let result = run(&broken, "2026-11-20", &["new", "new2"]).await;
            let context = format!("{fault:?} at request {at}");
            assert_whole(location).await;
            let published = published_parts(location).await;
            match &result {
                Ok(_) => assert_eq!(published, 2, "{context}: said it published"),
                Err(error) => assert_eq!(published, 1, "{context}: said it failed: {error}"),
            }
            if fault != Fault::Outage {
                let strange = matches!(result, Err(Error::LeaseLost { .. } | Error::Locked { .. }));
                assert!(!strange, "{context}: nobody else was there");
            }
            // Only an outage may keep a run from giving its lock back; then the
            // next one waits for the lease to end, which is tested elsewhere.
            let left = target(location).unlock(Unlock::Anyway).await.expect("unlocks");
            assert!(left.is_none() || fault == Fault::Outage, "{context}: left its lock");
            run(location, "2026-11-20", &["next"])
                .await
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_whole(location).await;
            let files = hive(location).await;
            assert!(
                files.len() == 2 && files.values().all(|content| content == "next"),
                "{context}: {files:?}"
            );
            points += 1;
            if counter.requests.load(Ordering::SeqCst) <= at {
                break;
            }
        }
    }
    assert!(points > 100, "only {points} points");
    println!("{points} fault points");
}

async fn published_parts(location: &Location) -> usize {
    let manifest = target(location).manifest().await.expect("reads").expect("there");
    manifest.entry(TABLE, day("2026-11-20")).expect("published").files.len()
}

/// A store that accepts conditions and does not look at them.
#[derive(Debug)]
struct Careless(Arc<dyn ObjectStore>);

impl fmt::Display for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Careless")
    }
}

#[async_trait]
impl ObjectStore for Careless {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        _: PutOptions,
    ) -> Result<PutResult> {
        self.0.put(location, payload).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused_unless_accepted() {
    let careless = memory().location.decorated(|store| Arc::new(Careless(store)));
    let error = target(&careless).claim(fresh()).await.err().expect("refused");
    assert!(matches!(error, Error::NoConditionalWrites { .. }), "{error}");
    assert!(error.to_string().contains("`single_writer: true`"), "{error}");
    assert!(careless.list("").await.expect("lists").is_empty(), "the probe left something");
    let accepted = careless.with_writers(Writers::Single);
    run(&accepted, "2026-11-20", &["a"]).await.expect("published");
    let first = claim(&accepted).await;
    assert!(matches!(target(&accepted).claim(fresh()).await, Err(Error::Locked { .. })));
    first.release().await;
    assert_whole(&accepted).await;
}
