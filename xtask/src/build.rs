//! `build`: the probes, then the sensor around them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;
use crate::{build_ebpf, shell};

/// Builds the release binary of the sensor and returns its path.
pub(crate) fn run(workspace: &Workspace) -> Result<PathBuf> {
    build_ebpf::run(workspace)?;
    release(workspace, "wanglou-sensor", &["wanglou-sensor"])?;
    Ok(workspace.release("wanglou-sensor"))
}

/// Builds a package's binaries for release, without shared libraries, into `target/release`.
///
/// The target is named although it is the host's own: only then do flags for it leave build
/// scripts and derive macros alone, which cannot be static.
pub(crate) fn release(workspace: &Workspace, package: &str, binaries: &[&str]) -> Result<()> {
    let host = shell::read(workspace.rustc().args(["--print", "host-tuple"]))?;
    let host = host.trim();
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    flags.push_str(" -C target-feature=+crt-static");
    let mut cargo = workspace.cargo();
    cargo.env("RUSTFLAGS", flags).args(["build", "--release", "--bins", "--target", host]);
    shell::run(cargo.args(["--package", package]))?;

    for binary in binaries {
        let built = workspace.target.join(host).join("release").join(binary);
        let wanted = workspace.release(binary);
        fs::create_dir_all(workspace.target.join("release"))?;
        // A new file, as the old one may be running.
        let _ = fs::remove_file(&wanted);
        fs::hard_link(&built, &wanted)
            .with_context(|| format!("cannot link {} to {}", built.display(), wanted.display()))?;
    }
    Ok(())
}
