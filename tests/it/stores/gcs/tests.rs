//! That the stand-in keeps to the documents, as far as this project relies on
//! them; that copies replace what stands there; and that they still have to go
//! through this process to do so.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion,
};
use tenure::storage::{self, Environment, Location, Options};

use super::StandIn;

const BUCKET: &str = "bucket";

fn client(server: &StandIn) -> GoogleCloudStorage {
    let builder = GoogleCloudStorageBuilder::new().with_service_account_key(server.account());
    builder.with_bucket_name(BUCKET).build().expect("a client")
}

fn location(server: &StandIn) -> Location {
    let key = ("GOOGLE_SERVICE_ACCOUNT_KEY".to_string(), server.account());
    let environment = Environment::from([key]);
    let url = format!("gs://{BUCKET}/shop");
    storage::open(&url, std::path::Path::new("/"), &environment, &Options::new()).expect("a place")
}

/// Content in which every byte tells its place.
fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn conditions_are_on_generations() {
    let server = StandIn::start(BUCKET);
    let client = client(&server);
    let key = Path::from("a/b c");
    let first = client.put_opts(&key, "1".into(), PutMode::Create.into()).await.expect("new");
    let twice = client.put_opts(&key, "2".into(), PutMode::Create.into()).await;
    assert!(matches!(twice, Err(Error::AlreadyExists { .. })), "{twice:?}");
    let update = |result: &object_store::PutResult| {
        PutMode::Update(UpdateVersion { e_tag: None, version: result.version.clone() })
    };
    // Equal content has an equal ETag, and another generation.
    let second = client.put_opts(&key, "1".into(), update(&first).into()).await.expect("ours");
    assert_ne!(first.version, second.version);
    let stale = client.put_opts(&key, "3".into(), update(&first).into()).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "{stale:?}");
    let found = client.get(&key).await.expect("there");
    assert_eq!(found.meta.version, second.version);
    client.delete(&key).await.expect("deleted");
    let gone = client.put_opts(&key, "4".into(), update(&second).into()).await;
    assert!(matches!(gone, Err(Error::Precondition { .. })), "{gone:?}");
    assert!(matches!(client.head(&key).await, Err(Error::NotFound { .. })));
    assert!(matches!(client.delete(&key).await, Err(Error::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_with_one_condition_one_wins() {
    let server = StandIn::start(BUCKET);
    let client = Arc::new(client(&server));
    let key = Path::from("current");
    let start = client.put(&key, "0".into()).await.expect("put");
    let tries = (0..16).map(|writer| {
        let (client, key) = (Arc::clone(&client), key.clone());
        let mode = PutMode::Update(UpdateVersion { e_tag: None, version: start.version.clone() });
        tokio::spawn(async move {
            client.put_opts(&key, format!("{writer}").into(), mode.into()).await.is_ok()
        })
    });
    let won = join_all(tries).await.into_iter().filter(|won| matches!(won, Ok(true))).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn listings_go_on_from_page_to_page() {
    let server = StandIn::start(BUCKET);
    let client = client(&server);
    for number in 0..130 {
        let key = format!("list/{:02}/{number:03} ä&<", number / 2);
        let key = Path::parse(key).expect("a path");
        client.put(&key, "x".into()).await.expect("put");
    }
    client.put(&Path::from("other"), "x".into()).await.expect("put");
    let all: Vec<_> = client.list(Some(&Path::from("list"))).try_collect().await.expect("lists");
    assert_eq!(all.len(), 130);
    assert!(all.iter().any(|meta| meta.location.as_ref().ends_with("129 ä&<")));
    let folders = client.list_with_delimiter(Some(&Path::from("list"))).await.expect("lists");
    assert_eq!((folders.common_prefixes.len(), folders.objects.len()), (65, 0));
    let offset = Path::parse("list/60/121 ä&<").expect("a path");
    let rest = client.list_with_offset(Some(&Path::from("list")), &offset).count().await;
    assert_eq!(rest, 8);
}

#[tokio::test]
async fn objects_are_read_in_ranges() {
    let server = StandIn::start(BUCKET);
    let client = client(&server);
    let key = Path::from("ranges");
    client.put(&key, PutPayload::from(content(1000))).await.expect("put");
    for (range, expected) in [
        (GetRange::Bounded(10..20), 10..20),
        (GetRange::Bounded(990..2000), 990..1000),
        (GetRange::Offset(900), 900..1000),
        (GetRange::Suffix(7), 993..1000),
    ] {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let found = client.get_opts(&key, options).await.expect("a range");
        assert_eq!(found.bytes().await.expect("bytes"), content(1000).slice(expected));
    }
    let beyond = GetOptions { range: Some(GetRange::Offset(1000)), ..GetOptions::default() };
    assert!(client.get_opts(&key, beyond).await.is_err());
}

#[tokio::test]
async fn uploads_in_parts_are_seen_when_they_are_complete() {
    let server = StandIn::start(BUCKET);
    let location = location(&server);
    let whole = content(23 * 1024 * 1024);
    let mut upload = location.upload("large");
    upload.write(&whole).await.expect("written");
    assert_eq!(location.head("large").await.expect("asked"), None, "nothing is seen before");
    upload.finish().await.expect("complete");
    assert_eq!(location.get("large").await.expect("there").expect("there"), whole);
    assert_eq!(server.uploads(), 0);
    let mut upload = location.upload("given up");
    upload.write(&whole).await.expect("written");
    assert_eq!(server.uploads(), 1);
    upload.abort().await;
    assert_eq!(server.uploads(), 0, "its parts are gone");
    assert_eq!(location.head("given up").await.expect("asked"), None);
}

/// Small, and larger than one request may carry.
#[tokio::test]
async fn a_copy_replaces_what_stands_there() {
    let server = StandIn::start(BUCKET);
    let location = location(&server);
    for length in [3, 12 * 1024 * 1024] {
        location.put("from", content(length)).await.expect("put");
        location.put("to", "old".into()).await.expect("put");
        for to in ["to", "to", &format!("new-{length}")] {
            location.copy("from", to).await.expect("copied");
            let found = location.get(to).await.expect("answers").expect("there");
            assert!(found == content(length), "{length} bytes to {to}");
        }
    }
    assert_eq!(server.uploads(), 0);
    let gone = location.copy("gone", "to").await.expect_err("nothing to copy");
    assert!(gone.to_string().contains("does not exist"), "{gone}");
}

/// The mistake that `storage::copy` works around. Once this fails the client is
/// right: then a copy made by the store can replace, and the detour may go.
#[tokio::test]
async fn the_client_still_asks_for_nothing_to_stand_where_it_copies() {
    let server = StandIn::start(BUCKET);
    let client = client(&server);
    let (from, to) = (Path::from("from"), Path::from("to"));
    for key in [&from, &to] {
        client.put(key, "x".into()).await.expect("put");
    }
    let copied = client.copy(&from, &to).await;
    let condition = server.of_last_copy("x-goog-if-generation-match");
    assert_eq!(condition.as_deref(), Some("0"), "`Cloud::copies` may say `Replace` for GCS");
    assert!(matches!(copied, Err(Error::AlreadyExists { .. })), "{copied:?}");
}
