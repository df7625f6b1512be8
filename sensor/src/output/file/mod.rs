//! Events in a file: `events.json` grows, is turned over when it is full or old, and what was turned over is
//! packed and, in the end, removed.
//!
//! ```text
//! events.json                              is written
//! events-20261122T201740.123456Z.json         was full, waits to be packed
//! events-20261122T184302.007415Z.json.zst     is packed
//! events-….json.zst.part                   is being packed; removed at start
//! ```
//!
//! A file never ends with half a line: where a disk is full it is cut back to its last whole one.

mod packing;
mod shelf;

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::sink::{Lines, write_all};
use super::{Compression, FileSettings};
use crate::clock;
use crate::log::ids;
use crate::privileges;
use packing::Packer;
use shelf::Shelf;

/// Arguments of commands may be secret.
const MODE: u32 = 0o600;
/// After a failure it is tried again so much later.
const RETRY: Duration = Duration::from_secs(1);

/// The file.
#[derive(Debug)]
pub struct File {
    settings: FileSettings,
    shelf: Shelf,
    packer: Packer,
    open: Option<Open>,
    /// Whether files that were turned over are ours to pack and to remove.
    is_keeper: bool,
    /// Boot-clock time before which nothing is tried again, ns.
    retry_at: u64,
    /// Why nothing can be written.
    failed: Option<io::ErrorKind>,
}

#[derive(Debug)]
struct Open {
    file: fs::File,
    bytes: u64,
    /// Boot-clock time at which it was begun, ns.
    since: u64,
    /// Device and inode.
    identity: (u64, u64),
}

impl File {
    /// One that is opened when the first lines come.
    pub fn new(settings: FileSettings) -> Self {
        let (shelf, packer) = (Shelf::of(&settings.path), Packer::default());
        let is_keeper = true;
        Self { settings, shelf, packer, open: None, is_keeper, retry_at: 0, failed: None }
    }

    /// One for a last line, that leaves packing and removing to who comes next.
    pub fn for_a_line(settings: FileSettings) -> Self {
        Self { is_keeper: false, ..Self::new(settings) }
    }

    /// Says why nothing could be written; leaves an empty file where there was none.
    pub fn check(settings: &FileSettings) -> Result<(), String> {
        privileges::as_an_owner(|| {
            Open::at(&settings.path)?;
            // It will be turned over.
            let folder = settings.path.parent().unwrap_or(Path::new("/"));
            Ok(accessat(CWD, folder, Access::WRITE_OK, AtFlags::EACCESS)?)
        })
        .map_err(|error: io::Error| {
            let path = settings.path.display();
            format!(
                "cannot write to {path} and its folder: {error}: make them writable for root without \
                 capabilities, or set output.file.path"
            )
        })
    }

    fn take(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        match self.make_ready(lines.len() as u64) {
            Ok(open) => open.append(lines),
            Err(error) => (0, Err(error)),
        }
    }

    /// The file that has room for so many bytes.
    fn make_ready(&mut self, more: u64) -> io::Result<&mut Open> {
        // Somebody else may have moved it away.
        let is_there = |open: &Open| {
            fs::metadata(&self.settings.path).is_ok_and(|it| identity(&it) == open.identity)
        };
        let mut open = match self.open.take().filter(is_there) {
            Some(open) => open,
            None => {
                let open = Open::at(&self.settings.path)?;
                self.tidy();
                open
            }
        };
        if open.is_due(&self.settings, more) {
            drop(open);
            self.shelf.turn_over(&self.settings.path)?;
            self.tidy();
            open = Open::at(&self.settings.path)?;
        }
        Ok(self.open.insert(open))
    }

    /// Removes what is too old to be kept, and packs the rest. None of it is worth an event.
    fn tidy(&mut self) {
        if let Err(error) = self.tidy_up() {
            let path = self.settings.path.display();
            tracing::warn!(
                id = ids::FILES_NOT_TIDY.code,
                %path,
                "cannot tidy up the files that were turned over: {error}"
            );
        }
    }

    fn tidy_up(&mut self) -> io::Result<()> {
        if !self.is_keeper {
            return Ok(());
        }
        self.shelf.remove_all_but(self.settings.keep)?;
        if self.packer.is_busy() {
            return Ok(());
        }
        self.shelf.remove_unfinished()?;
        match self.settings.compression {
            Compression::None => Ok(()),
            Compression::Zstd => self.packer.pack(self.shelf.unpacked()?),
        }
    }
}

impl Lines for File {
    fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let now = clock::boot_ns();
        if now < self.retry_at {
            return (0, Err(self.failed.unwrap_or(io::ErrorKind::Other).into()));
        }
        let (written, result) = self.take(lines);
        self.failed = result.as_ref().err().map(io::Error::kind);
        if self.failed.is_some() {
            self.open = None;
            self.retry_at = now + RETRY.as_nanos() as u64;
        }
        (written, result)
    }

    fn name(&self) -> String {
        self.settings.path.display().to_string()
    }
}

impl Open {
    /// Opens it at its end, which is that of a line.
    fn at(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file =
            fs::File::options().read(true).append(true).create(true).mode(MODE).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = metadata.len();
        if !ends_a_line(&mut file, bytes)? {
            // Of one who was killed.
            write_all(&mut file, b"\n").1?;
            bytes += 1;
        }
        // Where the file system does not know when it was made, it is as young as we know.
        let age = metadata.created().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
        let since = clock::boot_ns().saturating_sub(age.as_nanos() as u64);
        Ok(Self { file, bytes, since, identity: identity(&metadata) })
    }

    fn is_due(&self, settings: &FileSettings, more: u64) -> bool {
        let age = Duration::from_nanos(clock::boot_ns().saturating_sub(self.since)).as_secs();
        let is_old = settings.max_age_seconds > 0 && age >= settings.max_age_seconds;
        self.bytes > 0 && (is_old || self.bytes + more > settings.max_bytes)
    }

    /// Appends lines; of what does not fit, only whole ones stay.
    fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let (written, result) = write_all(&mut self.file, lines);
        let whole = match &result {
            Ok(()) => written,
            Err(_) => lines[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1),
        };
        self.bytes += whole as u64;
        if whole < written {
            // Where that fails too, who opens it next ends the line.
            let _ = self.file.set_len(self.bytes);
        }
        (whole, result)
    }
}

fn ends_a_line(file: &mut fs::File, bytes: u64) -> io::Result<bool> {
    if bytes == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(bytes - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// A path with something between its stem and its ending.
fn beside(path: &Path, between: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending =
        path.extension().map(|it| format!(".{}", it.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{between}{ending}"))
}

#[cfg(test)]
mod tests;
