use std::fmt;
use std::fs::File;
use std::io;

use serde_json::Value;
use thiserror::Error;

use super::Telemetry;

/// Whether all is well, and a line that says why.
pub type Verdict = (bool, String);

/// What a program answers with. Each is asked for one request at a time or a few, and must not wait long.
pub trait Subject: Send + Sync + 'static {
    /// The name of this process, for `/debug/pprof/heap?process=`.
    const OWN: &'static str;
    /// Those of other processes whose heap can be asked for here; the first is meant where none is named.
    const OTHERS: &'static [&'static str] = &[];

    /// As they are set now.
    fn settings(&self) -> Telemetry;

    /// `/healthz`, for who restarts it: whether it does what it should.
    fn alive(&self) -> Verdict;

    /// `/readyz`, for who routes to it: whether it can do what it is there for.
    fn ready(&self) -> Verdict;

    /// `/metrics`, as [`metrics::text`](super::metrics::text) makes it.
    fn metrics(&self) -> Result<String, fmt::Error>;

    /// `/status`: everything at a look.
    fn status(&self) -> Value;

    /// Whether a process counts what was freed again too ([`ACCUMULATED`](super::ACCUMULATED)); if not, why.
    fn counts_allocated(&self, process: &str) -> Result<(), &'static str> {
        let _ = process;
        Err("what was freed again is not counted here")
    }

    /// The profile of one of [`Self::OTHERS`], in jemalloc's own words.
    fn heap_of(&self, process: &str) -> impl Future<Output = Result<File, NoHeap>> + Send {
        let why = format!("there is no {process}");
        std::future::ready(Err(NoHeap::Unavailable(why)))
    }

    /// A request has been answered: for programs that give memory back then.
    fn answered(&self) {}
}

/// Why there is no profile.
#[derive(Debug, Error)]
pub enum NoHeap {
    /// Nobody is there who could write it.
    #[error("{0}")]
    Unavailable(String),
    /// Who was asked has not answered in time.
    #[error("{0}")]
    Late(String),
    /// It cannot be written.
    #[error("there is no profile: {0}")]
    Failed(#[from] io::Error),
}
