//! One process as /proc shows it now, read into buffers that are used again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::CWD;

use super::cgroup::Cgroups;
use super::file::{self, Missing};
use super::image::ImageReader;
use super::stat::{self, Stat};
use super::status::{self, Status};
use crate::observation::{Args, Image, NS_PER_TICK, State};

/// How much to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Who it was when it was forked: without a name if it has executed a file since.
    Fork,
    /// What it runs as well: arguments, executable, directory, namespaces.
    Image,
}

/// What /proc said.
#[derive(Clone, Debug)]
pub struct Process<'a> {
    /// Boot-clock start time, ns, to a tick.
    pub start: u64,
    /// The line that says most.
    pub stat: Stat<'a>,
    /// Who it is.
    pub state: State<'a>,
    /// What it runs; empty unless it was asked for.
    pub image: Image<'a>,
    /// It ended before everything was read.
    pub incomplete: bool,
}

/// Reads processes.
pub struct Reader {
    proc: OwnedFd,
    cgroups: Option<Cgroups>,
    stat: Box<[u8; 1024]>,
    status: Box<[u8; 8192]>,
    cgroup: Box<[u8; 4096]>,
    image: ImageReader,
}

impl Reader {
    /// Opens /proc and finds the cgroup hierarchy.
    pub fn open() -> io::Result<Self> {
        let proc = file::directory(CWD, c"/proc")
            .map_err(|_| io::Error::other("cannot open /proc: mount it"))?;
        let mountinfo = std::fs::read("/proc/self/mountinfo")?;
        Ok(Self {
            proc,
            cgroups: Cgroups::open(&mountinfo),
            stat: Box::new([0; 1024]),
            status: Box::new([0; 8192]),
            cgroup: Box::new([0; 4096]),
            image: ImageReader::default(),
        })
    }

    /// Only the line that says whether it lives; `pid` may be that of a thread.
    pub fn stat(&mut self, pid: u32) -> Option<Stat<'_>> {
        let dir = file::process(self.proc.as_fd(), pid).ok()?;
        stat::parse(file::read(dir.as_fd(), c"stat", &mut *self.stat).ok()?)
    }

    /// Only the arguments, if `pid` is still the process that started then (boot-clock ns).
    pub fn arguments(&mut self, pid: u32, start: u64) -> Option<Args<'_>> {
        let dir = file::process(self.proc.as_fd(), pid).ok()?;
        let dir = dir.as_fd();
        let args = self.image.arguments(dir);
        let stat = stat::parse(file::read(dir, c"stat", &mut *self.stat).ok()?)?;
        args.filter(|_| stat.start_ticks == start / NS_PER_TICK)
    }

    /// What there is to know of a process; `None` if there is none with that id.
    pub fn read(&mut self, pid: u32, detail: Detail) -> Option<Process<'_>> {
        let dir = file::process(self.proc.as_fd(), pid).ok()?;
        let dir = dir.as_fd();
        // What a process gives up first is read first: its memory, and with it most of the image.
        let (mut image, has_memory) = match detail {
            Detail::Fork => (Image::default(), true),
            Detail::Image => self.image.read(dir),
        };
        let stat = stat::parse(file::read(dir, c"stat", &mut *self.stat).ok()?)?;
        let mut incomplete = !has_memory && !stat.is_kernel_thread();
        if detail == Detail::Image {
            image.tty = Some(stat.tty);
            image.session = stat.session;
            image.kernel_thread = stat.is_kernel_thread();
            image.ended = stat.has_ended();
        }

        let text = file::read(dir, c"status", &mut *self.status);
        incomplete |= text == Err(Missing::Gone);
        let status = text.map(status::parse).unwrap_or_default();
        if is_other_threads(pid, &status) {
            return None;
        }
        let cgroup_path = self
            .cgroups
            .as_ref()
            .and_then(|it| it.path(file::read(dir, c"cgroup", &mut *self.cgroup).ok()?));
        let cgroup = self.cgroups.as_ref().zip(cgroup_path).and_then(|(it, path)| it.id_of(path));
        let state = State {
            name: (detail == Detail::Image || stat.is_forked_image()).then_some(stat.name),
            user: status.user,
            group: status.group,
            cgroup,
            cgroup_path,
            vpid: status.vpid,
            real_parent: Some(stat.parent),
        };
        Some(Process { start: stat.start(), stat, state, image, incomplete })
    }
}

/// /proc/N exists for threads, too, although it doesn't list them: N was given to another process.
fn is_other_threads(pid: u32, status: &Status) -> bool {
    status.tgid.is_some_and(|tgid| tgid != pid)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn knows_itself() {
        let mut reader = Reader::open().expect("/proc");
        let pid = std::process::id();
        let me = reader.read(pid, Detail::Image).expect("myself");
        assert!(!me.incomplete);
        let executable = std::env::current_exe().expect("a name");
        assert_eq!(me.image.executable, Some(executable.as_os_str().as_bytes()));
        let directory = std::env::current_dir().expect("a directory");
        assert_eq!(me.image.working_directory, Some(directory.as_os_str().as_bytes()));
        let args = me.image.args.expect("arguments");
        assert_eq!(args.count, Some(std::env::args_os().count() as u64));
        assert_eq!(args.head, std::fs::read("/proc/self/cmdline").expect("cmdline"));
        let namespace = std::fs::metadata("/proc/self/ns/net").expect("a namespace").ino();
        assert_eq!(me.image.namespaces.net.map(u64::from), Some(namespace));
        assert_eq!(me.state.real_parent, Some(std::os::unix::process::parent_id()));
        assert_eq!(me.state.user.map(|user| user.real), Some(rustix::process::getuid().as_raw()));
    }

    #[test]
    fn a_zombie_is_incomplete_and_then_gone() {
        let mut child = Command::new("true").spawn().expect("a child");
        let pid = child.id();
        let mut reader = Reader::open().expect("/proc");
        while !reader.stat(pid).expect("a child").has_ended() {
            std::thread::yield_now();
        }
        let zombie = reader.read(pid, Detail::Image).expect("a zombie");
        assert!(zombie.incomplete);
        assert!(zombie.image.executable.is_none() && zombie.image.args.is_none());
        assert_eq!(zombie.state.name, Some(&b"true"[..]));
        child.wait().expect("its status");
        assert!(reader.read(pid, Detail::Image).is_none());
    }

    #[test]
    fn another_process_thread_is_no_process() {
        let (tell, told) = std::sync::mpsc::channel();
        let (stay, stayed) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid()).expect("a listener");
            let _ = stayed.recv();
        });
        let tid = told.recv().expect("a thread").as_raw_pid().cast_unsigned();
        let mut reader = Reader::open().expect("/proc");
        assert!(reader.stat(tid).is_some());
        assert!(reader.read(tid, Detail::Fork).is_none());
        drop(stay);
        thread.join().expect("the thread");
    }
}
