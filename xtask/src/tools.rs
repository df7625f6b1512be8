//! Cargo's plug-ins, built into `target/tools` so that nothing of the user's is overwritten.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell;
use crate::workspace::Workspace;

/// The tool, from the user's PATH, from an earlier build, or built now.
pub(crate) fn ensure(workspace: &Workspace, tool: &str, version: &str) -> Result<PathBuf> {
    if let Some(found) = shell::which(tool) {
        return Ok(found);
    }
    let built = workspace.tools().join("bin").join(tool);
    if shell::is_program(&built) {
        return Ok(built);
    }
    eprintln!("xtask: building {tool} {version} (once)");
    let mut install = workspace.cargo();
    install
        .env("CARGO_TARGET_DIR", workspace.target.join("tools-build"))
        .args(["install", tool, "--locked", "--version", &format!("~{version}"), "--root"])
        .arg(workspace.tools());
    shell::run(&mut install)?;
    Ok(built)
}
