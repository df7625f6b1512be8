//! Events, as borrowed views: cheap to fill from what is at hand and to write out at once.
//!
//! A view owns nothing. Absent (`None`) means unknown and is left out of the JSON.
//!
//! [`v1`] has the same as messages that own what they say, for whoever reads them.

#[path = "generated/event.rs"]
mod generated;
mod json;
mod proto;
mod strings;
mod timestamp;

pub use generated::*;
pub use json::Json;
pub use proto::{Message, write_delimited};
pub use strings::Strings;
pub use timestamp::Timestamp;

/// Messages, as prost makes them of `event.proto`.
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "made by prost"
)]
pub mod v1 {
    include!("generated/wanglou.event.v1.rs");
}
