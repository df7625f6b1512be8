//! Where a fleet's events are kept, and how it is known that none is missing.
//!
//! ```text
//! Lake::store ─▶ landing ─▶ compact ─▶ file ─▶ commit         what replicas take becomes Parquet, each record once
//!
//! lake      what is open, and its settings                    content    what is in a batch, checked
//! landing   taking records: many callers, few objects         wire       events as protobuf, read in place
//! compact   rounds: taking, merging, letting go               columns    events as Arrow columns
//! commit    the order that makes a crash harmless             schema     the columns, as event.proto has them
//! journal   commits, read and folded                          file       Parquet, in order of the time
//! manifest  what a commit changes                             partition  hour and kind, as folders
//! state     what all commits came to                          folder     a local folder whose writes are synced
//! location  a folder, or a bucket of S3
//! snapshot  what there is to read at a moment                 query      questions about it
//! books     of every run: what was produced, and what became of it       numbers   which of a run's batches there are
//! ```
//!
//! `docs/lake.md` has the layout and how others read it.
#![forbid(unsafe_code)]

pub mod books;
mod columns;
mod commit;
mod compact;
pub mod content;
mod error;
mod file;
mod folder;
mod journal;
mod lake;
pub mod landing;
pub mod location;
mod manifest;
pub mod numbers;
pub mod partition;
pub mod query;
pub mod schema;
mod snapshot;
mod state;
mod wire;

pub use compact::Round;
pub use error::Error;
pub use folder::Folder;
pub use lake::{Lake, Settings};
pub use landing::format::HostRecord;
pub use manifest::{File, Volume};
pub use snapshot::{Landed, Snapshot};
pub use wire::Malformed;
