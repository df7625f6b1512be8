//! What was built for tests, packed as for others: the sensor's image for containerd, and packages for the test that
//! follows `docs/deploy/hosts.md`, with Debian's of etcd beside them, as a mirror has them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::deb::{self, Packing};
use super::{Release, host, image, programs, sbom};
use crate::workspace::Workspace;
use crate::{debian, shell};

const OF_ETCD: [&str; 2] = ["etcd-server", "etcd-client"];

/// The sensor's image.
pub(crate) fn image(workspace: &Workspace) -> Result<PathBuf> {
    let program = &programs::chosen(Some("wanglou-sensor"))?[0];
    let release = Release::of(workspace, host())?;
    let binary = fs::read(workspace.release(program.name))?;
    let image = image::of(program, &binary, &sbom::of(workspace, program, &release)?, &release)?;
    let path = workspace.target.join("tests.oci.tar");
    fs::write(&path, image).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The folder that packages are in.
pub(crate) fn pack(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("packages");
    fs::create_dir_all(&folder)?;
    debian::ensure(&["adduser", "curl", "openssl", "systemd"], "trying what docs/deploy says")?;
    let release = Release { folder: folder.clone(), ..Release::of(workspace, host())? };
    for program in programs::chosen(None)? {
        let built = match program.name {
            "wanglou-sensor" => workspace.release(program.name),
            name => workspace.target.join("debug").join(name),
        };
        // A debug build is mostly that.
        let stripped = folder.join(program.name);
        let mut strip = Command::new("strip");
        shell::run(strip.args(["--strip-debug", "-o"]).arg(&stripped).arg(built))?;
        deb::of(workspace, program, &stripped, &release, Packing::Quick)?;
        fs::remove_file(stripped)?;
    }
    // What packages were made of is as large as they are.
    fs::remove_dir_all(folder.join("deb"))?;
    let has = |name: &str| -> Result<bool> {
        let mut files = fs::read_dir(&folder)?.flatten().map(|entry| entry.file_name());
        Ok(files.any(|file| file.to_string_lossy().starts_with(&format!("{name}_"))))
    };
    for name in OF_ETCD {
        if !has(name)? {
            debian::download(&[name], &folder)?;
        }
    }
    Ok(folder)
}
