//! Paths of executables, each kept once.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::table::Executable;
use super::text;

/// Paths kept at most, beyond those that processes still run.
const CAPACITY: usize = 1024;

/// The paths.
#[derive(Debug, Default)]
pub(super) struct Executables {
    paths: HashSet<Arc<str>, RandomState>,
    scratch: String,
}

impl Executables {
    /// The path as shared text.
    pub(super) fn intern(&mut self, path: &[u8]) -> Executable {
        let (path, escaped) = text::text(path, &mut self.scratch);
        if let Some(known) = self.paths.get(path) {
            return Executable { path: Arc::clone(known), escaped };
        }
        if self.paths.len() >= CAPACITY {
            self.paths.retain(|path| Arc::strong_count(path) > 1);
        }
        let path = Arc::<str>::from(path);
        if self.paths.len() < CAPACITY {
            self.paths.insert(Arc::clone(&path));
        }
        Executable { path, escaped }
    }
}
