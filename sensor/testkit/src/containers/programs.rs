//! Where what containers are made of is: Debian's packages, unpacked in the folder `WANGLOU_CONTAINERD`, or installed.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Result;

/// What [`super::Containerd`] needs.
const CONTAINERD: [&str; 5] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox"];

/// What containers are made of.
#[derive(Clone, Debug)]
pub struct Programs {
    folders: Vec<PathBuf>,
    /// Libraries that were unpacked beside them.
    libraries: Vec<PathBuf>,
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
    let programs = Programs {
        folders: ["usr/bin", "usr/sbin", "bin"].map(|folder| root.join(folder)).to_vec(),
        libraries: unpacked.as_deref().map(libraries).into_iter().flatten().collect(),
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

    /// They look for one another there.
    pub(super) fn path(&self) -> Result<OsString> {
        let usual = env::var_os("PATH").unwrap_or_default();
        let folders = self.folders.iter().cloned().chain(env::split_paths(&usual));
        Ok(env::join_paths(folders)?)
    }

    /// `LD_LIBRARY_PATH`, for those whose libraries a host need not have.
    pub(super) fn library_path(&self) -> Result<OsString> {
        Ok(env::join_paths(&self.libraries)?)
    }
}
