//! Where what containers are made of is: Debian's packages, unpacked in the folder `WANGLOU_CONTAINERD`, or installed.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::sys;

/// What [`super::Containerd`] needs.
const CONTAINERD: [&str; 5] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox"];

/// What containers are made of.
#[derive(Clone, Debug)]
pub struct Programs {
    folders: Vec<PathBuf>,
    /// `PATH`: they look for one another there.
    path: OsString,
    /// `LD_LIBRARY_PATH`, for those whose libraries a host need not have.
    pub(super) library_path: OsString,
}

/// Those of containerd. Says what is missing, for a test that is skipped then.
pub fn programs() -> Option<Programs> {
    programs_of(&[])
}

/// Those of containerd, and these.
pub fn programs_of(wanted: &[&str]) -> Option<Programs> {
    let unpacked = env::var_os("WANGLOU_CONTAINERD").map(PathBuf::from);
    let root = unpacked.clone().unwrap_or_else(|| "/".into());
    let multiarch = format!("{}-linux-gnu", env::consts::ARCH);
    let libraries = |root: &Path| ["usr/lib", "lib"].map(|it| root.join(it).join(&multiarch));
    let folders = ["usr/bin", "usr/sbin", "bin"].map(|folder| root.join(folder)).to_vec();
    let usual = env::var_os("PATH").unwrap_or_default();
    let path = folders.iter().cloned().chain(env::split_paths(&usual));
    let programs = Programs {
        path: env::join_paths(path).unwrap_or(usual),
        library_path: env::join_paths(unpacked.as_deref().map(libraries).into_iter().flatten())
            .unwrap_or_default(),
        folders,
    };
    let missing = CONTAINERD.iter().chain(wanted).find(|name| programs.all(name).next().is_none());
    if let Some(missing) = missing {
        eprintln!(
            "skipped: {missing} is not here: `cargo xtask test` fetches it, or set WANGLOU_CONTAINERD"
        );
        return None;
    }
    Some(programs)
}

impl Programs {
    /// One of them, by its name.
    pub fn find(&self, name: &str) -> PathBuf {
        self.all(name).next().unwrap_or_else(|| name.into())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        self.folders.iter().map(move |it| it.join(name)).filter(|it| it.is_file())
    }

    /// It runs one of them.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.find(name));
        command.env("PATH", &self.path).env("LD_LIBRARY_PATH", &self.library_path);
        command.stdin(Stdio::null());
        command
    }
}

/// Has one of them end that was started.
pub(super) fn end(child: &mut Child) {
    // Nobody is left to tell of a failure.
    let _ = sys::kill(child.id(), libc::SIGTERM);
    let _ = child.wait();
}
