//! What a bucket of the stand-in holds, and what may be done to it: every act is
//! one step under one lock, so that of two writers with one condition one wins.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tenure::storage::hex;

/// Parts of an upload but the last have at least so many bytes.
const PART_BYTES_MIN: usize = 5 * 1024 * 1024;
/// Objects and prefixes a page of a listing may have: the documents allow fewer
/// than the thousand that are usual, and a client must follow the pages.
const PAGE_MAX: usize = 40;

/// Why something is not done, in the words of the XML API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: &'static str,
}

const fn refusal(status: u16, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, code, message }
}

pub const NO_BUCKET: Refusal = refusal(404, "NoSuchBucket", "The specified bucket does not exist.");
pub const NO_KEY: Refusal = refusal(404, "NoSuchKey", "The specified key does not exist.");
pub const NO_UPLOAD: Refusal = refusal(404, "NoSuchUpload", "The requested upload was not found.");
pub const PRECONDITION: Refusal = refusal(
    412,
    "PreconditionFailed",
    "At least one of the pre-conditions you specified did not hold.",
);
pub const RANGE: Refusal = refusal(416, "InvalidRange", "The requested range cannot be satisfied.");
pub const ARGUMENT: Refusal = refusal(400, "InvalidArgument", "Invalid argument.");
pub const TOO_SMALL: Refusal =
    refusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum object size.");
pub const PART: Refusal = refusal(
    400,
    "InvalidPart",
    "One or more of the specified parts could not be found or its ETag did not match.",
);
pub const PART_ORDER: Refusal =
    refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.");

/// An object as it stands.
#[derive(Clone, Debug)]
pub struct Object {
    pub content: Bytes,
    pub generation: u64,
    pub e_tag: String,
    pub modified: DateTime<Utc>,
}

/// Conditions on what stands at a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// `x-goog-if-generation-match`; 0 for nothing.
    pub generation: Option<u64>,
    /// `x-goog-if-metageneration-match`; metadata never changes here.
    pub metageneration: Option<u64>,
}

impl Conditions {
    fn hold(self, found: Option<&Object>) -> Result<(), Refusal> {
        let stands = found.map_or(0, |object| object.generation);
        let is_met = self.generation.is_none_or(|wanted| wanted == stands)
            && self.metageneration.is_none_or(|wanted| found.is_some() && wanted == 1);
        if is_met { Ok(()) } else { Err(PRECONDITION) }
    }
}

/// An upload in parts that has not ended.
#[derive(Debug, Default)]
struct Upload {
    object: String,
    /// Number → ETag and content.
    parts: BTreeMap<u32, (String, Bytes)>,
}

/// A bucket.
#[derive(Debug, Default)]
pub struct Bucket {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    last_generation: u64,
    last_upload: u64,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    pub objects: Vec<(String, Object)>,
    pub prefixes: Vec<String>,
    /// The last name on it, where others follow.
    pub goes_on_after: Option<String>,
}

impl Bucket {
    pub fn get(&self, name: &str) -> Result<&Object, Refusal> {
        self.objects.get(name).ok_or(NO_KEY)
    }

    pub fn put(
        &mut self,
        name: &str,
        content: Bytes,
        conditions: Conditions,
    ) -> Result<Object, Refusal> {
        conditions.hold(self.objects.get(name))?;
        let now = Utc::now();
        // Generations are times; one that is taken is passed by.
        let micros = u64::try_from(now.timestamp_micros()).expect("after 1970");
        self.last_generation = micros.max(self.last_generation + 1);
        let (generation, e_tag) = (self.last_generation, e_tag(&content));
        let object = Object { content, generation, e_tag, modified: now };
        self.objects.insert(name.to_string(), object.clone());
        Ok(object)
    }

    pub fn copy(
        &mut self,
        from: &str,
        source: Conditions,
        to: &str,
        target: Conditions,
    ) -> Result<Object, Refusal> {
        let found = self.get(from)?;
        source.hold(Some(found))?;
        let content = found.content.clone();
        self.put(to, content, target)
    }

    pub fn delete(&mut self, name: &str, conditions: Conditions) -> Result<(), Refusal> {
        conditions.hold(Some(self.get(name)?))?;
        self.objects.remove(name);
        Ok(())
    }

    /// Names that begin with `prefix` and come after `after`; what has the
    /// delimiter behind the prefix is one prefix.
    pub fn list(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        after: &str,
        max: Option<usize>,
    ) -> Page {
        let max = max.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let mut page = Page::default();
        let mut last: Option<String> = None;
        for (name, object) in self.objects.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let rest = &name[prefix.len()..];
            let folder = delimiter.and_then(|delimiter| {
                rest.find(delimiter)
                    .map(|at| name[..prefix.len() + at + delimiter.len()].to_string())
            });
            let shown = folder.as_ref().unwrap_or(name);
            if shown.as_str() <= after || last.as_ref() == Some(shown) {
                continue;
            }
            if page.objects.len() + page.prefixes.len() == max {
                page.goes_on_after = last;
                return page;
            }
            last = Some(shown.clone());
            match folder {
                Some(folder) => page.prefixes.push(folder),
                None => page.objects.push((name.clone(), object.clone())),
            }
        }
        page
    }

    pub fn begin_upload(&mut self, object: &str) -> String {
        self.last_upload += 1;
        let id = format!("upload-{}", self.last_upload);
        self.uploads.insert(id.clone(), Upload { object: object.into(), ..Upload::default() });
        id
    }

    pub fn put_part(
        &mut self,
        object: &str,
        id: &str,
        number: u32,
        content: Bytes,
    ) -> Result<String, Refusal> {
        let upload = self.upload(object, id)?;
        if !(1..=10_000).contains(&number) {
            return Err(ARGUMENT);
        }
        let e_tag = e_tag(&content);
        upload.parts.insert(number, (e_tag.clone(), content));
        Ok(e_tag)
    }

    /// Makes the parts that are named, by number and ETag, one object.
    pub fn complete(
        &mut self,
        object: &str,
        id: &str,
        named: &[(u32, String)],
        conditions: Conditions,
    ) -> Result<Object, Refusal> {
        let upload = self.upload(object, id)?;
        if named.is_empty() {
            return Err(ARGUMENT);
        }
        if !named.is_sorted_by(|one, other| one.0 < other.0) {
            return Err(PART_ORDER);
        }
        let mut whole = BytesMut::new();
        for (place, (number, e_tag)) in named.iter().enumerate() {
            let part = upload.parts.get(number).filter(|(found, _)| found == e_tag);
            let (_, content) = part.ok_or(PART)?;
            if place + 1 < named.len() && content.len() < PART_BYTES_MIN {
                return Err(TOO_SMALL);
            }
            whole.extend_from_slice(content);
        }
        let put = self.put(object, whole.freeze(), conditions)?;
        self.uploads.remove(id);
        Ok(put)
    }

    pub fn abort(&mut self, object: &str, id: &str) -> Result<(), Refusal> {
        self.upload(object, id)?;
        self.uploads.remove(id);
        Ok(())
    }

    /// Uploads that nobody has ended.
    pub fn uploads(&self) -> usize {
        self.uploads.len()
    }

    fn upload(&mut self, object: &str, id: &str) -> Result<&mut Upload, Refusal> {
        self.uploads.get_mut(id).filter(|upload| upload.object == object).ok_or(NO_UPLOAD)
    }
}

/// Opaque, and of the content: equal content may have the same.
fn e_tag(content: &[u8]) -> String {
    format!("\"{}\"", &hex(&Sha256::digest(content))[..32])
}
