//! The files of the spool, and what stands in for them where a disk takes nothing.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// How a segment begins.
pub(super) const HEADER: &[u8; 8] = b"WLSPOOL1";
/// How its name ends, and while it is being written.
const ENDING: &str = "spool";
const NEW: &str = "new";
/// Arguments of commands may be secret.
const MODE: u32 = 0o600;

/// All of them.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    /// The one that grows.
    grows: Option<(u64, File)>,
    /// The one that was read last.
    read: Option<(u64, File)>,
    memory: BTreeMap<u64, Vec<u8>>,
    /// Held as long as this lives, so that nobody else takes what is ours.
    lock: Option<File>,
}

impl Segments {
    /// Those of a folder.
    pub(super) fn of(folder: PathBuf) -> Self {
        Self { folder, grows: None, read: None, memory: BTreeMap::new(), lock: None }
    }

    /// Takes the folder for us alone, and makes it if there is none; the numbers of what lies there.
    pub(super) fn open(&mut self) -> io::Result<Vec<u64>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut options = File::options();
        let lock = options.write(true).create(true).truncate(false).mode(MODE);
        let lock = lock.open(self.folder.join("lock"))?;
        let taken =
            |_| io::Error::other("another sensor has it: give each its own state directory");
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(taken)?;
        self.lock = Some(lock);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
            match path.extension().and_then(|it| it.to_str()) {
                Some(ENDING) => ids.extend(u64::from_str_radix(stem, 16).ok()),
                Some(NEW) => fs::remove_file(&path)?,
                _ => {}
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Whether the folder is ours.
    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Begins one, which grows from now on; the one before is on the disk to stay.
    pub(super) fn begin(&mut self, id: u64) -> io::Result<()> {
        self.end()?;
        let mut options = File::options();
        let options = options.read(true).append(true).create_new(true).mode(MODE);
        let mut file = options.open(self.path(id))?;
        if let Err(error) = file.write_all(HEADER) {
            let _ = fs::remove_file(self.path(id));
            return Err(error);
        }
        self.grows = Some((id, file));
        Ok(())
    }

    /// The one that grows does not any more.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.grows.take().map_or(Ok(()), |(_, file)| file.sync_data())
    }

    /// Begins one in memory.
    pub(super) fn begin_in_memory(&mut self, id: u64) {
        self.memory.insert(id, HEADER.to_vec());
    }

    /// Bytes of all in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.memory.values().map(Vec::len).sum()
    }

    /// Appends to one that grows, which has so many bytes; on failure it is as it was.
    pub(super) fn append(&mut self, id: u64, bytes: u64, record: &[u8]) -> io::Result<()> {
        if let Some(memory) = self.memory.get_mut(&id) {
            memory.extend_from_slice(record);
            return Ok(());
        }
        let grows = self.grows.as_mut().filter(|(grows, _)| *grows == id);
        let (_, file) = grows.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        file.write_all(record).inspect_err(|_| {
            // Where that fails too, whoever reads it next finds the torn end.
            let _ = file.set_len(bytes);
        })
    }

    /// Empties one that grows.
    pub(super) fn empty(&mut self, id: u64) -> io::Result<()> {
        match (self.memory.get_mut(&id), &self.grows) {
            (Some(memory), _) => memory.truncate(HEADER.len()),
            (None, Some((grows, file))) if *grows == id => file.set_len(HEADER.len() as u64)?,
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    /// Whether one grows on the disk.
    pub(super) fn grows(&self, id: u64) -> bool {
        self.grows.as_ref().is_some_and(|(grows, _)| *grows == id)
    }

    /// Reads some bytes; fewer where it ends.
    pub(super) fn read(&mut self, id: u64, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        if let Some(memory) = self.memory.get(&id) {
            let from = memory.len().min(offset as usize);
            let to = memory.len().min(from + bytes);
            return Ok(memory[from..to].to_vec());
        }
        let of = |it: &Option<(u64, File)>| it.as_ref().is_some_and(|(of, _)| *of == id);
        if !of(&self.grows) && !of(&self.read) {
            self.read = Some((id, File::open(self.path(id))?));
        }
        let open = if of(&self.grows) { &self.grows } else { &self.read };
        let (_, file) = open.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut read = vec![0; bytes];
        let mut so_far = 0;
        while so_far < bytes {
            match file.read_at(&mut read[so_far..], offset + so_far as u64) {
                Ok(0) => break,
                Ok(more) => so_far += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        read.truncate(so_far);
        Ok(read)
    }

    /// How long it is, and when it was last written, s since 1970.
    pub(super) fn metadata(&self, id: u64) -> io::Result<(u64, u64)> {
        let metadata = fs::metadata(self.path(id))?;
        let age = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        Ok((metadata.len(), age.map_or(0, |age| age.as_secs())))
    }

    /// Cuts off what is torn.
    pub(super) fn cut(&self, id: u64, bytes: u64) -> io::Result<()> {
        File::options().write(true).open(self.path(id))?.set_len(bytes)
    }

    /// Writes one anew, wholly or not at all; `true` if that is on the disk, which may have no room.
    pub(super) fn replace(&mut self, id: u64, content: Vec<u8>) -> bool {
        self.forget_open(id);
        let is_on_disk = self.write(id, &content).is_ok();
        if is_on_disk {
            self.memory.remove(&id);
        } else {
            // It makes room, and what counts is in memory.
            let _ = fs::remove_file(self.path(id));
            self.memory.insert(id, content);
        }
        is_on_disk
    }

    /// Writes one that is in memory to the disk.
    pub(super) fn save(&mut self, id: u64) -> io::Result<()> {
        let Some(content) = self.memory.get(&id) else { return Ok(()) };
        self.write(id, content)?;
        self.memory.remove(&id);
        Ok(())
    }

    /// Gives one on the disk another number.
    pub(super) fn rename(&self, from: u64, to: u64) -> io::Result<()> {
        if from == to { Ok(()) } else { fs::rename(self.path(from), self.path(to)) }
    }

    /// Removes one.
    pub(super) fn remove(&mut self, id: u64) -> io::Result<()> {
        self.forget_open(id);
        if self.memory.remove(&id).is_some() {
            return Ok(());
        }
        fs::remove_file(self.path(id))
    }

    /// A path in the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(&self, id: u64, content: &[u8]) -> io::Result<()> {
        let path = self.path(id);
        let new = path.with_extension(NEW);
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(MODE).open(&new)?;
        let written = file.write_all(content).and_then(|()| fs::rename(&new, &path));
        written.inspect_err(|_| {
            let _ = fs::remove_file(&new);
        })
    }

    fn forget_open(&mut self, id: u64) {
        for open in [&mut self.grows, &mut self.read] {
            if open.as_ref().is_some_and(|(of, _)| *of == id) {
                *open = None;
            }
        }
    }

    fn path(&self, id: u64) -> PathBuf {
        self.folder.join(format!("{id:016x}.{ENDING}"))
    }
}
