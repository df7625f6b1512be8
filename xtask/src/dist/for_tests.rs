//! Packages for the test that follows `docs/deploy/hosts.md`: of what was built for tests, packed as for others, and
//! Debian's of etcd, as a mirror has them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::deb::{self, Packing};
use super::{Release, host, programs};
use crate::workspace::Workspace;
use crate::{debian, shell};

const OF_ETCD: [&str; 2] = ["etcd-server", "etcd-client"];

/// The folder they are in.
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
