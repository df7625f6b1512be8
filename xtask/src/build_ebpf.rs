//! `build-ebpf`: compiles the probes into `target/ebpf/wanglou.o`, which the sensor embeds.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::shell;
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;

/// Compiles what changed and returns the object's path.
pub(crate) fn run(workspace: &Workspace) -> Result<PathBuf> {
    let toolchain = Toolchain::find_or_install(workspace)?;
    let folder = workspace.target.join("ebpf");
    let build = folder.join("build");

    let mut cargo = toolchain.cargo_build();
    cargo.current_dir(workspace.root.join("sensor-ebpf")).env("CARGO_TARGET_DIR", &build);
    shell::run(&mut cargo)?;

    let built = build.join(TARGET).join("release/wanglou");
    let object = folder.join("wanglou.o");
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    // A new time stamp alone would have cargo build the sensor again.
    if fs::read(&object).is_ok_and(|old| old == bytes) {
        return Ok(object);
    }
    fs::write(&object, bytes).with_context(|| format!("cannot write {}", object.display()))?;
    eprintln!("xtask: wrote {}", object.display());
    Ok(object)
}
