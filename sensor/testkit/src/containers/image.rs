//! An image with nothing in it but busybox, as `docker save` would write it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{IMAGE, Programs};
use crate::scratch::Scratch;

/// What the archive is called.
pub(super) const ARCHIVE: &str = "image.tar";

/// Writes the archive and says where it is; what goes into it lies beside it.
pub(super) fn write(programs: &Programs, scratch: &Scratch) -> Result<PathBuf> {
    let (root, parts) = (scratch.join("rootfs"), scratch.join("image"));
    for made in ["bin", "given", "etc", "proc", "sys", "dev", "run", "tmp"] {
        fs::create_dir_all(root.join(made))?;
    }
    fs::create_dir_all(&parts)?;
    fs::copy(programs.find("busybox"), root.join("bin/busybox")).context("cannot copy busybox")?;
    fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/busybox\n")?;
    tar(&root, &parts.join("layer.tar"))?;

    let layer: String = Sha256::digest(fs::read(parts.join("layer.tar"))?)
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        // Whoever is told nothing else holds the namespaces of a pod.
        "config": { "Cmd": ["/bin/busybox", "sleep", "1000000"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
    });
    fs::write(parts.join("config.json"), config.to_string())?;
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"] }]);
    fs::write(parts.join("manifest.json"), manifest.to_string())?;
    let archive = scratch.join(ARCHIVE);
    tar(&parts, &archive)?;
    Ok(archive)
}

fn tar(folder: &Path, into: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(into).arg("--directory").arg(folder);
    let status = tar.args(["--owner=0", "--group=0", "."]).status().context("cannot run tar")?;
    ensure!(status.success(), "tar failed on {}", folder.display());
    Ok(())
}
