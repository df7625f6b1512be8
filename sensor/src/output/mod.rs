//! Where events go, and how they look there.
//!
//! ```text
//! settings    which outputs there are, and what each takes     selection  actions that an output takes
//! json, pretty  events as lines                                sink       what takes lines: stdout
//! file        a file that is turned over, and packed
//! ```

mod canvas;
mod file;
mod json;
mod pretty;
mod selection;
mod settings;
mod sink;
mod tree;

use wanglou_api::event::Event;

pub use file::File;
pub use pretty::Pretty;
pub use selection::Selection;
pub use settings::{Compression, FileSettings, Intake, MAX_QUEUE_BYTES, MIN_QUEUE_BYTES, Outputs};
pub use sink::{Sink, Stdout, takes_a_line_now};

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

/// An output: there is one of each, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file.
    File,
}

impl Destination {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::File];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File => "file",
        }
    }
}
