//! Whose orders count.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;
use wanglou_api::signing::{KeyError, May, Verifier};

use super::settings::Settings;

/// Bytes of a file, at most.
const MAX_BYTES: u64 = 64 << 10;

/// Why a key does not count.
#[derive(Debug, Error)]
pub(super) enum KeyFault {
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] io::Error),
    #[error("{0}: {1}")]
    Key(PathBuf, #[source] KeyError),
}

/// All that can be read; tells of those that cannot.
pub(super) fn read(settings: &Settings, tell: &mut dyn FnMut(KeyFault)) -> Vec<Verifier> {
    let stop = settings.stop_keys.iter().map(|path| (path, May::Stop));
    let operators = settings.operator_keys.iter().map(|path| (path, May::StopAndStart));
    // One that is in both lists may do both: the first that is found counts.
    let all = operators.chain(stop);
    all.filter_map(|(path, may)| key(path, may).map_err(&mut *tell).ok()).collect()
}

fn key(path: &Path, may: May) -> Result<Verifier, KeyFault> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| KeyFault::Read(path.to_owned(), error))?;
    Verifier::from_pem(&bytes, may).map_err(|error| KeyFault::Key(path.to_owned(), error))
}
