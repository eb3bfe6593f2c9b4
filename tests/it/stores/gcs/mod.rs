//! A stand-in for Google Cloud Storage, written from the public documents of its
//! XML API: objects with generations and ETags, preconditions, ranges, listings in
//! pages, uploads in parts, copies. What it holds outlives its clients.
//!
//! The client finds it by `gcs_base_url` of a service account that asks for no
//! token (`disable_oauth`).
//!
//! - requests and errors: cloud.google.com/storage/docs/xml-api/reference-methods,
//!   …/reference-status
//! - `x-goog-if-generation-match` and its kin: …/docs/request-preconditions
//! - listings: …/xml-api/get-bucket-list (`list-type=2` and the older kind)
//! - uploads in parts: …/docs/multipart-uploads and the pages of its methods
//! - copies: …/xml-api/put-object-copy

mod bucket;
mod http;
mod tests;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use chrono::SecondsFormat;

use bucket::{ARGUMENT, Bucket, Conditions, NO_BUCKET, NO_KEY, Object, Page, RANGE, Refusal};
use http::{Request, Response, decoded};

/// The server, until it is dropped.
pub struct StandIn {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    bucket_name: String,
    bucket: Mutex<Bucket>,
    /// The headers of the last copy that was asked for.
    last_copy: Mutex<BTreeMap<String, String>>,
    has_ended: AtomicBool,
}

impl StandIn {
    /// Serves one bucket from here on.
    pub fn start(bucket_name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            bucket_name: bucket_name.into(),
            bucket: Mutex::default(),
            last_copy: Mutex::default(),
            has_ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if serving.has_ended.load(Ordering::Relaxed) {
                    break;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || client.map(|client| serve(&serving, client)));
            }
        });
        Self { port, shared }
    }

    /// The service account by which a client finds it.
    pub fn account(&self) -> String {
        format!(
            r#"{{"disable_oauth":true,"gcs_base_url":"http://127.0.0.1:{}","client_email":"","private_key":"","private_key_id":""}}"#,
            self.port
        )
    }

    /// Whether parts are kept of uploads that nobody has ended.
    pub fn uploads(&self) -> usize {
        self.shared.bucket.lock().expect("a lock").uploads()
    }

    /// A header of the last copy that was asked for.
    pub fn of_last_copy(&self, name: &str) -> Option<String> {
        self.shared.last_copy.lock().expect("a lock").get(name).cloned()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Whoever waits for a client meets one.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// Answers a client until it goes.
fn serve(shared: &Shared, client: TcpStream) {
    drop(client.set_nodelay(true));
    let Ok(answers) = client.try_clone() else { return };
    let mut requests = BufReader::new(client);
    while let Ok(Some(request)) = Request::receive(&mut requests) {
        let response = answer(shared, &request).unwrap_or_else(|refusal| refused(&refusal));
        if response.send(&answers, &request.method).is_err() {
            break;
        }
    }
    drop(answers.shutdown(Shutdown::Both));
}

fn refused(refusal: &Refusal) -> Response {
    let Refusal { status, code, message } = refusal;
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Response::xml(*status, &body)
}

fn answer(shared: &Shared, request: &Request) -> Result<Response, Refusal> {
    if request.bucket != shared.bucket_name {
        return Err(NO_BUCKET);
    }
    let mut bucket = shared.bucket.lock().expect("a lock");
    let name = request.object.as_str();
    let upload = request.asks("uploadId");
    match (request.method.as_str(), name, upload) {
        ("GET", "", _) => list(&bucket, request),
        ("GET" | "HEAD", ..) => get(bucket.get(name)?, request),
        ("PUT", _, Some(id)) => {
            let number = request.asks("partNumber").and_then(|number| number.parse().ok());
            let body = request.body.clone();
            let e_tag = bucket.put_part(name, id, number.ok_or(ARGUMENT)?, body)?;
            Ok(Response::new(200).with("ETag", e_tag))
        }
        ("PUT", ..) => match request.header("x-goog-copy-source") {
            Some(source) => {
                shared.last_copy.lock().expect("a lock").clone_from(&request.headers);
                copy(shared, &mut bucket, source, request)
            }
            None => {
                let put = bucket.put(name, request.body.clone(), conditions(request, "")?)?;
                Ok(described(200, &put))
            }
        },
        ("POST", _, Some(id)) => {
            let named = named_parts(&String::from_utf8_lossy(&request.body)).ok_or(ARGUMENT)?;
            let put = bucket.complete(name, id, &named, conditions(request, "")?)?;
            let (bucket, key, e_tag) = (&request.bucket, escaped(name), escaped(&put.e_tag));
            let body = format!(
                "<CompleteMultipartUploadResult><Location>/{bucket}/{key}</Location>\
                 <Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{e_tag}</ETag>\
                 </CompleteMultipartUploadResult>"
            );
            Ok(Response::xml(200, &body).with("x-goog-generation", put.generation))
        }
        ("POST", ..) if request.asks("uploads").is_some() => {
            let id = bucket.begin_upload(name);
            let (bucket, key) = (&request.bucket, escaped(name));
            let body = format!(
                "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>\
                 <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            Ok(Response::xml(200, &body))
        }
        ("DELETE", _, Some(id)) => bucket.abort(name, id).map(|()| Response::new(204)),
        ("DELETE", ..) => {
            bucket.delete(name, conditions(request, "")?).map(|()| Response::new(204))
        }
        _ => Err(ARGUMENT),
    }
}

/// `x-goog-if-…`, or of a copy's source `x-goog-copy-source-if-…`.
fn conditions(request: &Request, of: &str) -> Result<Conditions, Refusal> {
    let number = |what: &str| match request.header(&format!("x-goog-{of}if-{what}-match")) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| ARGUMENT),
    };
    Ok(Conditions { generation: number("generation")?, metageneration: number("metageneration")? })
}

fn described(status: u16, object: &Object) -> Response {
    let modified = object.modified.format("%a, %d %b %Y %H:%M:%S GMT");
    Response::new(status)
        .with("ETag", &object.e_tag)
        .with("x-goog-generation", object.generation)
        .with("x-goog-metageneration", 1)
        .with("x-goog-stored-content-length", object.content.len())
        .with("Last-Modified", modified)
}

/// An object, or a range of it, unless the client has it already.
fn get(object: &Object, request: &Request) -> Result<Response, Refusal> {
    // Older generations are not kept.
    if request.asks("generation").is_some_and(|asked| asked != object.generation.to_string()) {
        return Err(NO_KEY);
    }
    if request.header("if-match").is_some_and(|e_tag| e_tag != object.e_tag) {
        return Err(bucket::PRECONDITION);
    }
    if request.header("if-none-match") == Some(&object.e_tag) {
        return Ok(described(304, object));
    }
    let length = object.content.len();
    let described = |status| described(status, object).with("Accept-Ranges", "bytes");
    let Some((from, to)) = request.header("range").and_then(range) else {
        return Ok(described(200).of(object.content.clone()));
    };
    let (from, to) = match (from, to) {
        (Some(from), to) => (from, to.map_or(length, |to| (to + 1).min(length))),
        (None, last) => (length.saturating_sub(last.unwrap_or(0)), length),
    };
    if from >= to {
        return Err(RANGE);
    }
    let content = object.content.slice(from..to);
    let range = format!("bytes {from}-{}/{length}", to - 1);
    Ok(described(206).with("Content-Range", range).of(content))
}

/// `bytes=from-to`, either end of which may be open.
fn range(header: &str) -> Option<(Option<usize>, Option<usize>)> {
    let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok(), to.parse().ok()))
}

fn copy(
    shared: &Shared,
    bucket: &mut Bucket,
    source: &str,
    request: &Request,
) -> Result<Response, Refusal> {
    let source = source.trim_start_matches('/');
    let (from_bucket, from) = source.split_once('/').ok_or(ARGUMENT)?;
    if decoded(from_bucket) != shared.bucket_name {
        return Err(NO_BUCKET);
    }
    let of_source = conditions(request, "copy-source-")?;
    let target = conditions(request, "")?;
    let put = bucket.copy(&decoded(from), of_source, &request.object, target)?;
    let modified = put.modified.to_rfc3339_opts(SecondsFormat::Millis, true);
    let e_tag = escaped(&put.e_tag);
    let body = format!(
        "<CopyObjectResult><ETag>{e_tag}</ETag><LastModified>{modified}</LastModified>\
         </CopyObjectResult>"
    );
    Ok(Response::xml(200, &body).with("x-goog-generation", put.generation))
}

/// Both kinds: what goes on after a page is named by its token or its marker.
fn list(bucket: &Bucket, request: &Request) -> Result<Response, Refusal> {
    let prefix = request.asks("prefix").unwrap_or("");
    let delimiter = request.asks("delimiter").filter(|delimiter| !delimiter.is_empty());
    let is_second = request.asks("list-type") == Some("2");
    let after = match is_second {
        true => request.asks("continuation-token").or(request.asks("start-after")),
        false => request.asks("marker"),
    };
    let max = request.asks("max-keys").map(str::parse).transpose().map_err(|_| ARGUMENT)?;
    let page = bucket.list(prefix, delimiter, after.unwrap_or(""), max);
    Ok(Response::xml(200, &listing(&request.bucket, prefix, is_second, &page)))
}

fn listing(bucket: &str, prefix: &str, is_second: bool, page: &Page) -> String {
    let mut xml = format!(
        "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>{bucket}</Name>\
         <Prefix>{}</Prefix><IsTruncated>{}</IsTruncated>",
        escaped(prefix),
        page.goes_on_after.is_some()
    );
    if let Some(after) = &page.goes_on_after {
        let tag = if is_second { "NextContinuationToken" } else { "NextMarker" };
        xml += &format!("<{tag}>{}</{tag}>", escaped(after));
    }
    for (name, object) in &page.objects {
        xml += &format!(
            "<Contents><Key>{}</Key><Generation>{}</Generation><MetaGeneration>1</MetaGeneration>\
             <LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            escaped(name),
            object.generation,
            object.modified.to_rfc3339_opts(SecondsFormat::Millis, true),
            escaped(&object.e_tag),
            object.content.len()
        );
    }
    for prefix in &page.prefixes {
        xml += &format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(prefix));
    }
    xml + "</ListBucketResult>"
}

/// The parts that a request to complete an upload names.
fn named_parts(xml: &str) -> Option<Vec<(u32, String)>> {
    let parts = xml.split("<Part>").skip(1).map(|part| {
        let inner = |tag: &str| {
            let (_, rest) = part.split_once(&format!("<{tag}>"))?;
            Some(rest.split_once(&format!("</{tag}>"))?.0.replace("&quot;", "\""))
        };
        Some((inner("PartNumber")?.trim().parse().ok()?, inner("ETag")?))
    });
    parts.collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
