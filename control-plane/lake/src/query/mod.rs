//! Questions about what is stored.
//!
//! ```text
//! read      the last events of which a condition holds          filter    SQL, as far as it is a condition
//! tree      a process with its kin                              field     what it may name, as flat columns
//! engine    how many are asked at once, and for how long        matcher   the condition, ready to be evaluated
//! scan      files and landed events, the newest first           encode    rows as the messages that they were
//! newest    the last of what is found                           guard     how long it may take
//!                                                               reader    files, in ranges
//! ```
//!
//! `datafusion` gives types to a condition and evaluates it. It does not read: a question is always about the last so many
//! events within some bytes and some time, and there is more to pass over than an engine for any SQL knows of. See decision
//! 15 in `docs/decisions`.

mod encode;
mod engine;
mod field;
mod filter;
mod guard;
mod matcher;
mod newest;
mod read;
mod reader;
mod scan;
mod tree;

pub use engine::{Engine, Limits};
pub use filter::FilterError;
pub use matcher::Matcher;
pub use read::{Events, Query};
pub use tree::{Process, Tree, TreeQuery};

/// Why a question has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// It cannot be understood, or not be evaluated over what is stored.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// It took too long.
    #[error(
        "there was no time to read all of it: ask for less time, for some hosts or for one action"
    )]
    Late,
    /// Files became parts of others again and again while they were to be read.
    #[error("{path} in the lake has become a part of another file meanwhile; ask again")]
    Changed {
        /// One of them.
        path: String,
    },
    /// The lake does not tell what is in it.
    #[error(transparent)]
    Lake(#[from] crate::Error),
    /// A file cannot be read.
    #[error("cannot read {path} in the lake: {reason}")]
    File {
        /// Which one.
        path: String,
        /// Why not.
        reason: String,
    },
    /// There was nobody to read: the program ends, or has no threads.
    #[error("cannot read the lake: {0}")]
    NoReader(String),
}
