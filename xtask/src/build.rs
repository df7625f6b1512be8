//! `build`: the probes, then the sensor around them.

use std::path::PathBuf;

use anyhow::Result;

use crate::cross;
use crate::workspace::Workspace;
use crate::{build_ebpf, debian, shell};

/// Builds the release binary of the sensor and returns its path.
pub(crate) fn run(workspace: &Workspace) -> Result<PathBuf> {
    build_ebpf::run(workspace)?;
    have_make()?;
    release(workspace, "wanglou-sensor", &["wanglou-sensor"])?;
    Ok(workspace.release("wanglou-sensor"))
}

/// The sensor's allocator is C, and built by its own makefile.
pub(crate) fn have_make() -> Result<()> {
    if shell::which("make").is_some() {
        return Ok(());
    }
    debian::have_lists()?;
    debian::ensure(&["make"], "building jemalloc")
}

/// Builds a package's binaries for release, without shared libraries, into `target/release`.
///
/// The flag is for the last step only: everywhere, it would also reach derive macros, which cannot
/// be static, and nothing could be shared with other builds.
pub(crate) fn release(workspace: &Workspace, package: &str, binaries: &[&str]) -> Result<()> {
    build(workspace, None, package, binaries)
}

/// The same for machines of another kind, into the folder of these.
pub(crate) fn release_for(
    workspace: &Workspace,
    triple: &str,
    package: &str,
    binaries: &[&str],
) -> Result<()> {
    build(workspace, Some(triple), package, binaries)
}

fn build(
    workspace: &Workspace,
    triple: Option<&str>,
    package: &str,
    binaries: &[&str],
) -> Result<()> {
    for binary in binaries {
        let mut cargo = workspace.cargo();
        cargo.args(["rustc", "--release", "--package", package, "--bin", binary]);
        if let Some(triple) = triple {
            cross::link(&mut cargo, triple);
            cargo.args(["--target", triple]);
        }
        shell::run(cargo.args(["--", "-C", "target-feature=+crt-static"]))?;
    }
    Ok(())
}
