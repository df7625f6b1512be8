//! What a commit changes. A commit is made by the one write that creates its manifest, which succeeds only where there is
//! none of this number: everything before it can be forgotten, and everything after it can be done again.
//!
//! ```text
//! manifest/<commit, 20 digits>.json     what it changes; dense numbers, from 1
//! snapshot/<commit, 20 digits>.json     all that commits up to this one have made: see `state`
//! staged/<commit, 20 digits>-<n>.<round>          a file that a commit of this number may come to have
//! ```
//!
//! `round` is random and tells two apart who make a commit of the same number: only one of them gets it, and what the
//! other one staged is nobody's.

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::books::{Books, Run};
use crate::partition::Partition;

pub(crate) const VERSION: u32 = 1;

/// A Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where it is in the lake.
    pub path: String,
    /// How many events it has.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// When the first and the last of its events happened, ns since 1970.
    pub times: (i64, i64),
    /// When it was committed, ms since 1970.
    pub since: i64,
}

/// A file that is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Added {
    #[serde(flatten)]
    pub(crate) file: File,
    /// Where it is until the commit is finished.
    pub(crate) staged: String,
    /// Batches of which events are in it: a run, as an index into `runs`, and from which number to which. A file that others
    /// were merged into has none: theirs said it.
    pub(crate) batches: Vec<(usize, u64, u64)>,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunBooks {
    pub(crate) run: Run,
    pub(crate) books: Books,
    /// When it was last heard of, ms since 1970.
    pub(crate) heard: i64,
}

/// What a host's events of an hour came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Which host, as its certificate says.
    pub host: String,
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// How many.
    pub events: u64,
    /// As protobuf.
    pub bytes: u64,
}

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    pub(crate) commit: u64,
    pub(crate) round: String,
    /// When it was made, ms since 1970.
    pub(crate) at: i64,
    pub(crate) added: Vec<Added>,
    pub(crate) removed: Vec<String>,
    /// Landing objects whose records are in `added`, or were there before.
    pub(crate) consumed: Vec<String>,
    /// The whole books of each run of which records were consumed.
    pub(crate) runs: Vec<RunBooks>,
    /// Runs whose books are not kept any longer.
    pub(crate) forgotten: Vec<Run>,
    /// What is to be added to the volumes that there are.
    pub(crate) volumes: Vec<Volume>,
    /// Hours before this one have no volume any longer.
    pub(crate) volumes_from: i64,
}

impl Manifest {
    pub(crate) fn new(commit: u64, at: i64) -> Self {
        let round = format!("{:016x}", fastrand::u64(..));
        Self { version: VERSION, commit, round, at, ..Default::default() }
    }

    /// Where a commit's manifest is.
    pub(crate) fn path(commit: u64) -> Path {
        Path::from(format!("manifest/{commit:020}.json"))
    }

    /// Names the next file, which has these events.
    pub(crate) fn add(
        &mut self,
        partition: Partition,
        bytes: &[u8],
        rows: u64,
        times: (i64, i64),
        batches: Vec<(usize, u64, u64)>,
    ) -> Path {
        let name = format!("{:020}-{}", self.commit, self.added.len());
        let staged = format!("{STAGED}/{name}.{}", self.round);
        let path = format!("{partition}/{name}.parquet");
        let file = File { path, rows, bytes: bytes.len() as u64, times, since: self.at };
        let location = Path::from(staged.as_str());
        self.added.push(Added { file, staged, batches });
        location
    }
}

/// Where files are until the commit that has them is finished.
pub(crate) const STAGED: &str = "staged";

/// The number that an object's name begins with.
pub(crate) fn commit_of(path: &Path) -> Option<u64> {
    path.filename()?.get(..20)?.parse().ok()
}

impl File {
    /// Where its events belong; `None` where nobody of ours has named it.
    pub fn partition(&self) -> Option<Partition> {
        Partition::parse(&self.path)
    }
}
