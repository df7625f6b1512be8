//! Events, as borrowed views: cheap to fill from what is at hand and to write out at once.
//!
//! A view owns nothing. Absent (`None`) means unknown and is left out of the JSON.

#[path = "generated/event.rs"]
mod generated;
mod json;
mod strings;
mod timestamp;

pub use generated::*;
pub use json::Json;
pub use strings::Strings;
pub use timestamp::Timestamp;
