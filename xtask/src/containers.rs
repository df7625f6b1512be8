//! What real containers are made of, for tests.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{debian, shell};

/// The folder of `WANGLOU_CONTAINERD`, else Debian's containerd, runc and busybox, unpacked into `target/tools`. `None`
/// where containerd is installed: tests find it.
///
/// They are not installed: the package starts a service.
pub(crate) fn find_or_unpack(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(given) = env::var_os("WANGLOU_CONTAINERD") {
        return Ok(Some(given.into()));
    }
    if ["containerd", "runc", "busybox"].iter().all(|name| shell::which(name).is_some()) {
        return Ok(None);
    }
    let folder = workspace.tools().join("containers");
    if !shell::is_program(&folder.join("usr/bin/containerd")) {
        debian::ensure(&["libseccomp2"], "running containers")?;
        debian::unpack(&["containerd", "runc", "busybox-static"], &folder)?;
    }
    Ok(Some(folder))
}
