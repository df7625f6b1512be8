//! What all commits have made of the lake. Does no I/O and doesn't know the time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::books::{Books, Run};
use crate::manifest::{File, Manifest, RunBooks, VERSION, Volume};

/// Hosts times hours of which the volume is known, at most; the oldest hours go first.
const MOST_VOLUMES: usize = 1_000_000;

/// After a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) commit: u64,
    /// By path.
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) runs: BTreeMap<Run, RunBooks>,
    /// Events and bytes by hour and host.
    volumes: BTreeMap<(i64, String), (u64, u64)>,
    /// What may still have to be done for it.
    pub(crate) last: Manifest,
}

/// How it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    files: Vec<File>,
    runs: Vec<RunBooks>,
    volumes: Vec<Volume>,
    last: Manifest,
}

impl State {
    /// Adds the next commit.
    pub(crate) fn apply(&mut self, manifest: Manifest) {
        self.commit = manifest.commit;
        for path in &manifest.removed {
            self.files.remove(path);
        }
        for added in &manifest.added {
            self.files.insert(added.file.path.clone(), added.file.clone());
        }
        for run in &manifest.runs {
            self.runs.insert(run.run.clone(), run.clone());
        }
        for run in &manifest.forgotten {
            self.runs.remove(run);
        }
        for volume in &manifest.volumes {
            let (events, bytes) =
                self.volumes.entry((volume.hour, volume.host.clone())).or_default();
            *events = events.saturating_add(volume.events);
            *bytes = bytes.saturating_add(volume.bytes);
        }
        if manifest.volumes_from > 0 {
            self.volumes = self.volumes.split_off(&(manifest.volumes_from, String::new()));
        }
        while self.volumes.len() > MOST_VOLUMES {
            self.volumes.pop_first();
        }
        // Those are in `runs` and `volumes`, and are asked for there.
        self.last = Manifest { runs: Vec::new(), volumes: Vec::new(), ..manifest };
    }

    pub(crate) fn books(&self, run: &Run) -> Option<&Books> {
        self.runs.get(run).map(|run| &run.books)
    }

    /// By hour, then by host.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = Volume> {
        self.volumes.iter().map(|((hour, host), (events, bytes))| Volume {
            host: host.clone(),
            hour: *hour,
            events: *events,
            bytes: *bytes,
        })
    }

    /// As JSON.
    pub(crate) fn write(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Written {
            version: VERSION,
            files: self.files.values().cloned().collect(),
            runs: self.runs.values().cloned().collect(),
            volumes: self.volumes().collect(),
            last: self.last.clone(),
        })
    }

    /// From JSON; else what is wrong.
    pub(crate) fn read(json: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if written.version != VERSION {
            return Err(format!("version {} of the format", written.version));
        }
        let volume = |it: Volume| ((it.hour, it.host), (it.events, it.bytes));
        Ok(Self {
            commit: written.last.commit,
            files: written.files.into_iter().map(|file| (file.path.clone(), file)).collect(),
            runs: written.runs.into_iter().map(|run| (run.run.clone(), run)).collect(),
            volumes: written.volumes.into_iter().map(volume).collect(),
            last: written.last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(commit: u64, hour: i64) -> Manifest {
        let mut manifest = Manifest::new(commit, 0);
        let host = "h".to_owned();
        manifest.volumes.push(Volume { host, hour, events: 1, bytes: 10 });
        let run = Run { host: "h".to_owned(), boot: "b".to_owned(), run: commit };
        manifest.runs.push(RunBooks { run, books: Books::default(), heard: 0 });
        manifest
    }

    #[test]
    fn what_is_written_down_is_read_back() {
        let mut state = State::default();
        for commit in 1..4 {
            state.apply(manifest(commit, 7));
        }
        assert_eq!(
            state.volumes().map(|it| (it.hour, it.events, it.bytes)).last(),
            Some((7, 3, 30))
        );
        let read = State::read(&state.write().expect("JSON")).expect("a state");
        assert_eq!(read, state);
        assert!(State::read(b"{}").is_err());
    }

    #[test]
    fn old_hours_are_forgotten() {
        let mut state = State::default();
        state.apply(manifest(1, 5));
        state.apply(manifest(2, 6));
        state.apply(Manifest { volumes_from: 6, ..Manifest::new(3, 0) });
        assert_eq!(state.volumes().map(|it| it.hour).collect::<Vec<_>>(), [6]);
    }
}
