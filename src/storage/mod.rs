//! URL → object store; the only place that names a cloud.
//!
//! [`open`] turns what a user wrote (`./warehouse`, `s3://lake/customers`) into
//! a [`Location`]: a store, a prefix and a name that may be shown. Everything
//! behind it speaks `object_store` and neither knows nor asks which store it is.
//!
//! It is not about tables, runs or manifests: see `run::target` for those.

mod codes;
mod config;
mod digest;
mod error;
mod exclusive;
mod listing;
mod local;
mod location;
mod mistakes;
mod obstacle;
mod redact;
mod resolve;
mod settle;
mod temporary;
mod upload;

pub use digest::Digest;
pub use error::{Action, Error, Explained, Kind};
pub use exclusive::{Exclusive, ExclusiveGuard};
pub use listing::Depth;
pub use local::LocalDisk;
pub use location::{Location, Versioned, Writers, hex};
pub use resolve::{Environment, Options, check, open, process_environment};
pub use settle::{Expect, Settled};
pub use upload::Upload;
