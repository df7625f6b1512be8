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
pub use sink::{Lines, Sink, Stdout, takes_a_line_now};

/// How a line looks.
#[derive(Debug)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Columns.
    Pretty(Pretty),
    /// Protobuf, each event after its length.
    Protobuf,
}

impl Format {
    /// Appends the event as one line, or what stands for one.
    pub fn write(&mut self, event: &Event<'_>, line: &mut Vec<u8>) {
        match self {
            Self::Json => json::write(event, line),
            Self::Pretty(pretty) => pretty.write(event, line),
            Self::Protobuf => wanglou_api::event::write_delimited(event, line),
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
    /// The fleet that the sensor is joined to.
    Uplink,
}

impl Destination {
    /// Every one, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Stdout, Self::File, Self::Uplink];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File => "file",
            Self::Uplink => "uplink",
        }
    }
}
