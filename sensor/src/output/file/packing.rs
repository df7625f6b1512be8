//! Packs files beside the work, in a thread that lives as long as there is one to pack.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::gettid;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

use super::MODE;
use super::shelf::{PART, packed, with_ending};
use crate::log::ids;

/// The fastest that is worth while: lines of JSON become a tenth.
const LEVEL: i32 = 1;
/// Window, as a power of two: packing takes about 1 MB of memory with it.
const WINDOW_LOG: u32 = 18;
/// So much is packed at once …
const PIECE: usize = 64 << 10;
/// … and then nothing for so long: less than a hundredth of a core, and 100 MB take about 80 seconds.
const PAUSE: Duration = Duration::from_millis(50);
/// Others run before it.
const NICER: i32 = 10;

/// The thread, if there is one.
#[derive(Debug, Default)]
pub(super) struct Packer(Option<JoinHandle<()>>);

impl Packer {
    /// Whether it is at work.
    pub(super) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Packs these, one after the other, unless others are being packed: then they are next time.
    pub(super) fn pack(&mut self, files: Vec<PathBuf>) -> io::Result<()> {
        if files.is_empty() || self.is_busy() {
            return Ok(());
        }
        let work = move || {
            give_way();
            for file in files {
                if let Err(error) = pack(&file) {
                    let path = file.display();
                    tracing::warn!(
                        id = ids::FILE_NOT_PACKED.code,
                        %path,
                        "cannot pack a file, it stays as it is: {error}"
                    );
                }
            }
        };
        self.0 = Some(thread::Builder::new().name("packer".into()).spawn(work)?);
        Ok(())
    }
}

fn give_way() {
    // A thread is a process to the scheduler (setpriority(2)); one that is not nicer does no harm either.
    let me = Some(gettid());
    let _ = getpriority_process(me).and_then(|now| setpriority_process(me, now + NICER));
}

/// The packed file is there whole or not at all, and only then the other one goes.
pub(super) fn pack(path: &Path) -> io::Result<()> {
    let to = packed(path);
    let part = with_ending(&to, PART);
    let done = write_packed(path, &part).and_then(|()| fs::rename(&part, &to));
    if let Err(error) = done {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    match fs::remove_file(path) {
        // It was too old to be kept, meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn write_packed(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = fs::File::open(from)?;
    let to = fs::File::options().write(true).create(true).truncate(true).mode(MODE).open(to)?;
    let mut encoder = Encoder::new(to, LEVEL)?;
    encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    encoder.include_checksum(true)?;
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece)? {
            0 => break,
            bytes => encoder.write_all(&piece[..bytes])?,
        }
        thread::sleep(PAUSE);
    }
    encoder.finish()?;
    Ok(())
}
