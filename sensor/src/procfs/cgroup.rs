//! cgroup ids: the inode number of a cgroup's directory is the id that the kernel's own helpers
//! give, on either version of cgroups.
//!
//! A path is looked up anew each time: a container that is started again has the old path and a
//! new id, and one `stat` is cheaper than being wrong about it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::stat::number;

/// Which of the hierarchies that a process is in names its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Controller of a v1 hierarchy, `None` for cgroup2.
    pub controller: Option<&'static str>,
    /// Where it is mounted.
    pub mount_point: Vec<u8>,
    /// Path of the mounted directory within the hierarchy.
    pub root: Vec<u8>,
}

/// v1 controllers to go by, the best first: every runtime limits processes, most limit memory.
const CONTROLLERS: [&str; 2] = ["pids", "memory"];

/// Chooses from /proc/self/mountinfo: a v1 controller where there is one, since cgroup2 then has
/// no controllers and often no groups either (`hybrid`), else cgroup2.
pub fn hierarchy(mountinfo: &[u8]) -> Option<Hierarchy> {
    let controlled = CONTROLLERS.into_iter().find_map(|it| of_controller(mountinfo, it));
    controlled.or_else(|| unified(mountinfo))
}

/// The v1 hierarchy of a controller.
pub fn of_controller(mountinfo: &[u8], controller: &'static str) -> Option<Hierarchy> {
    let has = |options: &[u8]| {
        options.split(|&byte| byte == b',').any(|option| option == controller.as_bytes())
    };
    let found = mounts(mountinfo).find(|it| it.kind == b"cgroup" && has(it.options))?;
    Some(found.hierarchy(Some(controller)))
}

/// The one of cgroup2.
pub fn unified(mountinfo: &[u8]) -> Option<Hierarchy> {
    let found = mounts(mountinfo).find(|mount| mount.kind == b"cgroup2")?;
    Some(found.hierarchy(None))
}

impl Hierarchy {
    /// Where a path of the hierarchy is; `None` if it lies outside what is mounted here.
    pub fn folder(&self, path: &[u8]) -> Option<PathBuf> {
        let name = OsStr::from_bytes(self.below(path)?);
        Some(Path::new(OsStr::from_bytes(&self.mount_point)).join(name))
    }

    /// The path below the mount point.
    fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let root = self.root.strip_suffix(b"/").unwrap_or(&self.root);
        match path.strip_prefix(root)?.strip_prefix(b"/") {
            Some(b"") => Some(&b"."[..]),
            Some(name) if !name.starts_with(b"..") => Some(name),
            _ => None,
        }
    }
}

/// The path of the process's cgroup in that hierarchy, out of /proc/PID/cgroup.
pub fn path<'a>(text: &'a [u8], controller: Option<&str>) -> Option<&'a [u8]> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let id: u32 = number(fields.next()?)?;
        let mut controllers = fields.next()?.split(|&byte| byte == b',');
        let path = fields.next()?;
        let ours = match controller {
            Some(controller) => controllers.any(|name| name == controller.as_bytes()),
            None => id == 0,
        };
        ours.then_some(path)
    })
}

/// The chosen hierarchy, held open.
pub struct Cgroups {
    hierarchy: Hierarchy,
    mount: OwnedFd,
}

impl Cgroups {
    /// Opens the hierarchy of this host; `None` where no cgroups are mounted.
    pub fn open(mountinfo: &[u8]) -> Option<Self> {
        let hierarchy = hierarchy(mountinfo)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let point = OsStr::from_bytes(&hierarchy.mount_point);
        let mount = rustix::fs::openat(CWD, point, flags, Mode::empty()).ok()?;
        Some(Self { hierarchy, mount })
    }

    /// The id of the cgroup that /proc/PID/cgroup names; `None` if it has been removed since, or
    /// lies outside what is mounted here.
    pub fn id(&self, text: &[u8]) -> Option<u64> {
        self.id_of(self.path(text)?)
    }

    /// The path that it names.
    pub fn path<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        path(text, self.hierarchy.controller)
    }

    /// The id of the cgroup at a path of the hierarchy.
    pub fn id_of(&self, path: &[u8]) -> Option<u64> {
        let name = self.hierarchy.below(path)?;
        let stat = rustix::fs::statat(&self.mount, OsStr::from_bytes(name), AtFlags::empty());
        Some(stat.ok()?.st_ino)
    }
}

struct Mount<'a> {
    root: &'a [u8],
    point: &'a [u8],
    kind: &'a [u8],
    options: &'a [u8],
}

impl Mount<'_> {
    fn hierarchy(&self, controller: Option<&'static str>) -> Hierarchy {
        let (mount_point, root) = (unescape(self.point), unescape(self.root));
        Hierarchy { controller, mount_point, root }
    }
}

fn mounts(mountinfo: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.split(|&byte| byte == b'\n').filter_map(mount)
}

/// `id parent major:minor root point options [tag…] - type source superblock-options`
fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = line.split(|&byte| byte == b' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    fields.find(|&field| field == b"-")?;
    let kind = fields.next()?;
    let _source = fields.next()?;
    Some(Mount { root, point, kind, options: fields.next()? })
}

/// Undoes the kernel's `\ooo` for spaces and the like.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\');
        let octal =
            octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        plain.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HYBRID: &[u8] = b"24 1 0:5 / /proc rw - proc proc rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
        39 31 0:36 / /sys/fs/cgroup/my\\040pids rw,relatime shared:8 master:2 - cgroup cgroup rw,pids\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_v1_controller_goes_before_cgroup2() {
        let chosen = hierarchy(HYBRID).expect("a hierarchy");
        assert_eq!(chosen.controller, Some("pids"));
        assert_eq!(chosen.mount_point, b"/sys/fs/cgroup/my pids");
    }

    #[test]
    fn cgroup2_alone_is_chosen() {
        let text =
            b"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let chosen = hierarchy(text).expect("a hierarchy");
        assert_eq!((chosen.controller, &chosen.root[..]), (None, &b"/"[..]));
    }

    #[test]
    fn a_folder_is_below_what_is_mounted() {
        let memory = of_controller(HYBRID, "memory").expect("a hierarchy");
        let folder = memory.folder(b"/a/b").expect("a folder");
        assert_eq!(folder, Path::new("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(memory.folder(b"/../outside"), None);
        assert_eq!(of_controller(HYBRID, "rdma"), None);
        let all = unified(HYBRID).expect("a hierarchy");
        assert_eq!(all.folder(b"/"), Some("/sys/fs/cgroup/unified/.".into()));
    }

    #[test]
    fn paths_are_found_by_controller() {
        let text = b"9:name=systemd:/a\n4:cpu,memory:/m:x\n8:pids:/\n0::/user.slice\n";
        assert_eq!(path(text, Some("memory")), Some(&b"/m:x"[..]));
        assert_eq!(path(text, Some("pids")), Some(&b"/"[..]));
        assert_eq!(path(text, None), Some(&b"/user.slice"[..]));
        assert_eq!(path(b"", None), None);
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes: Vec<u8>) {
            hierarchy(&bytes);
            path(&bytes, Some("pids"));
            path(&bytes, None);
        }

        #[test]
        fn plain_names_stay(name in "[a-z /.]*") {
            prop_assert_eq!(unescape(name.as_bytes()), name.as_bytes());
        }
    }
}
