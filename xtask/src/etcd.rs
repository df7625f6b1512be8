//! The etcd of tests and of `run`.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;
use crate::{debian, shell};

/// The one of `WANGLOU_ETCD`, else an installed one, else Debian's, unpacked into `target/tools`.
///
/// It is not installed: the package starts a service, on a port that is another's to give.
pub(crate) fn find_or_unpack(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(given) = env::var_os("WANGLOU_ETCD") {
        return Ok(given.into());
    }
    let folder = workspace.tools().join("etcd");
    let unpacked = folder.join("usr/bin/etcd");
    if let Some(installed) = shell::which("etcd") {
        return Ok(installed);
    }
    if !shell::is_program(&unpacked) {
        debian::unpack(&["etcd-server"], &folder).context(
            "no etcd: take a release of it, 3.4 or later, and set WANGLOU_ETCD to its program",
        )?;
    }
    Ok(unpacked)
}
