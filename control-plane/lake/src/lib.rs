//! Where a fleet's events are kept, and how it is known that none is missing.
//!
//! ```text
//! books   of every run: what was produced, and what became of it       numbers   which of a run's batches there are
//! ```
#![forbid(unsafe_code)]

pub mod books;
mod columns;
pub mod numbers;
pub mod schema;
mod wire;
