//! Events as lines: for programs (JSON) and for people (pretty).

mod canvas;
mod json;
mod pretty;
mod tree;

use wanglou_api::event::Event;

pub use pretty::Pretty;

/// How a line looks.
#[derive(Debug)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Columns.
    Pretty(Pretty),
}

impl Format {
    /// Appends the event as one line.
    pub fn write(&mut self, event: &Event<'_>, line: &mut Vec<u8>) {
        match self {
            Self::Json => json::write(event, line),
            Self::Pretty(pretty) => pretty.write(event, line),
        }
    }
}
