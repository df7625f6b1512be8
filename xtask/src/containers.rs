//! What real containers are made of, for tests.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{debian, shell};

/// What tests can do without, each by a program of it: packages, and libraries that a host need not have.
const OTHERS: [(&str, &[&str]); 2] = [
    ("usr/sbin/dockerd", &["docker.io", "libdevmapper1.02.1"]),
    (
        "usr/bin/podman",
        &[
            "podman",
            "conmon",
            "crun",
            "libassuan0",
            "libdevmapper1.02.1",
            "libglib2.0-0",
            "libgpgme11",
            "libsubid4",
            "libyajl2",
        ],
    ),
];

/// The folder of `WANGLOU_CONTAINERD`, else Debian's containerd, runc and busybox, Docker and Podman, unpacked into
/// `target/tools`. `None` where all of them are installed: tests find them.
///
/// They are not installed: the packages start services.
pub(crate) fn find_or_unpack(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(given) = env::var_os("WANGLOU_CONTAINERD") {
        return Ok(Some(given.into()));
    }
    let wanted = ["containerd", "runc", "busybox", "dockerd", "podman", "crun"];
    if wanted.iter().all(|name| shell::which(name).is_some()) {
        return Ok(None);
    }
    let folder = workspace.tools().join("containers");
    if !shell::is_program(&folder.join("usr/bin/containerd")) {
        debian::ensure(&["libseccomp2"], "running containers")?;
        debian::unpack(&["containerd", "runc", "busybox-static"], &folder)?;
    }
    for (program, packages) in OTHERS {
        if !shell::is_program(&folder.join(program))
            && let Err(error) = debian::unpack(packages, &folder)
        {
            eprintln!("xtask: {error:#}");
        }
    }
    Ok(Some(folder))
}
