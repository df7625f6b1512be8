//! What a process runs: the files of /proc/PID that need its memory or its rights.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use super::cmdline::Cmdline;
use super::file::{self, Missing};
use super::links;
use crate::observation::{Args, Image, Namespaces};

/// Buffers, used again for each process.
pub(super) struct ImageReader {
    executable: Link,
    directory: Link,
    root: Link,
    chunk: Box<[u8; 16384]>,
    cmdline: Cmdline,
}

/// As long as the kernel makes the text of any link.
type Link = Box<[MaybeUninit<u8>; 4096]>;

impl Default for ImageReader {
    fn default() -> Self {
        let link = || Box::new([MaybeUninit::uninit(); 4096]);
        Self {
            executable: link(),
            directory: link(),
            root: link(),
            chunk: Box::new([0; 16384]),
            cmdline: Cmdline::default(),
        }
    }
}

impl ImageReader {
    /// Reads what there is; whether the process still had its memory, which threads of the kernel
    /// never have.
    pub(super) fn read(&mut self, dir: BorrowedFd<'_>) -> (Image<'_>, bool) {
        let mut image = Image::default();
        let args = read_cmdline(dir, &mut *self.chunk, &mut self.cmdline);
        let root = file::link(dir, c"root", &mut *self.root).unwrap_or(b"/");
        let executable = target(dir, c"exe", &mut self.executable, root);
        let directory = target(dir, c"cwd", &mut self.directory, root);
        image.namespaces = namespaces(dir);

        let has_memory = args != Err(Missing::Gone)
            && executable != Err(Missing::Gone)
            && directory != Err(Missing::Gone);
        image.args = self.cmdline.args();
        image.working_directory = directory.ok().map(|target| target.path);
        if let Ok(target) = executable {
            image.executable = Some(target.path);
            image.deleted = target.deleted;
            image.memfd = target.memfd;
        }
        (image, has_memory)
    }

    /// Only the arguments.
    pub(super) fn arguments(&mut self, dir: BorrowedFd<'_>) -> Option<Args<'_>> {
        read_cmdline(dir, &mut *self.chunk, &mut self.cmdline).ok()?;
        self.cmdline.args()
    }
}

/// Reads to the end, however far that is.
fn read_cmdline(dir: BorrowedFd<'_>, chunk: &mut [u8], into: &mut Cmdline) -> Result<(), Missing> {
    into.clear();
    let file = file::open(dir, c"cmdline")?;
    loop {
        let length = rustix::io::read(&file, &mut *chunk)?;
        if length == 0 {
            return Ok(());
        }
        into.push(&chunk[..length]);
    }
}

fn target<'a>(
    dir: BorrowedFd<'_>,
    name: &CStr,
    buffer: &'a mut Link,
    root: &[u8],
) -> Result<links::Target<'a>, Missing> {
    let text = file::link(dir, name, &mut **buffer)?;
    let unlinked = links::may_be_deleted(text) && file::is_unlinked(dir, name);
    Ok(links::target(text, root, unlinked))
}

fn namespaces(dir: BorrowedFd<'_>) -> Namespaces {
    let inode = |name| {
        let mut buffer = [MaybeUninit::uninit(); 32];
        links::namespace(file::link(dir, name, &mut buffer).ok()?)
    };
    Namespaces { pid: inode(c"ns/pid"), mnt: inode(c"ns/mnt"), net: inode(c"ns/net") }
}
