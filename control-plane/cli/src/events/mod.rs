//! `events`: what a fleet has told, and tells.
//!
//! ```text
//! read     streams of events          row      an event in columns       words    what happened, in the last column
//! tree     a process with its kin     line     a line in the making      network  whom a process talks to
//!                                                                         records  of the sensor's own
//! ```

mod line;
mod network;
mod read;
mod records;
mod row;
mod tree;
mod words;

use anyhow::Result;

use crate::Done;
use crate::cli::{Events, Output};
use crate::connection::Fleet;

/// Reads them, or draws a tree.
pub(crate) async fn run(fleet: &mut Fleet, options: &Events, output: Output) -> Result<Done> {
    match &options.tree {
        Some(id) => tree::run(fleet, id, options.since, output).await,
        None => read::run(fleet, options, output).await,
    }
}
