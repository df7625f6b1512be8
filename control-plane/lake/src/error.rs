use std::sync::Arc;

/// What went wrong, and where.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Whatever holds the lake did not do what it was asked for.
    #[error("cannot {doing} {path} in the lake: {}", one_line(.source))]
    Store {
        /// What was to be done: `write`, `read`, `list`, `move`, `delete`.
        doing: &'static str,
        /// The object.
        path: String,
        /// Why not.
        source: Arc<object_store::Error>,
    },
    /// A folder that is to be the lake is none.
    #[error(
        "cannot open the lake in {path}: {source}; make the folder, and let this user write there"
    )]
    Folder {
        /// The folder.
        path: String,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// A bucket cannot be had.
    #[error(
        "cannot open the lake in {location}: {}; it is s3://bucket/prefix, and AWS_* in the environment say the rest",
        one_line(.source)
    )]
    Bucket {
        /// What it is called.
        location: String,
        /// Why not.
        source: Arc<object_store::Error>,
    },
    /// A setting is not what it may be.
    #[error("the lake's {name} is {value}: {allowed}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Nothing could be read from what is there.
    #[error(
        "{path} in the lake is damaged: {reason}; restore it, or take it away and lose what it says"
    )]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What a commit says to be there is not.
    #[error("{path} is missing from the lake, and commit {commit} has it; was it deleted by hand?")]
    Missing {
        /// The object.
        path: String,
        /// The commit.
        commit: u64,
    },
    /// Somebody else compacts the lake at this moment.
    #[error(
        "commit {commit} of the lake is somebody else's: two compact at once; it is tried again"
    )]
    Superseded {
        /// Its number.
        commit: u64,
    },
    /// A record that is larger than any may be.
    #[error("a record of {bytes} bytes of host {host} is too large to be stored")]
    TooLarge {
        /// Of whom.
        host: String,
        /// How large.
        bytes: usize,
    },
    /// What was read changed all the time.
    #[error("the lake changes faster than it can be read; ask again")]
    Busy,
    /// Events could not be made into a file.
    #[error("cannot write events as Parquet: {0}")]
    Parquet(Arc<parquet::errors::ParquetError>),
    /// The program ends.
    #[error("the lake is closed, as this program ends")]
    Closed,
}

/// A server may answer with a page of its own.
fn one_line(error: &object_store::Error) -> String {
    const MOST: usize = 400;
    let text = error.to_string();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MOST).collect()
}

impl Error {
    /// What becomes of an object store's own.
    pub(crate) fn store(
        doing: &'static str,
        path: &object_store::path::Path,
    ) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Store { doing, path: path.to_string(), source: Arc::new(source) }
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Parquet(Arc::new(error))
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Parquet(Arc::new(error.into()))
    }
}
