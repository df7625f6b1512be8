//! Cargo's plug-ins, built into `target/tools` so that nothing of the user's is overwritten.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell;
use crate::workspace::Workspace;

/// The tool from the user's PATH or from an earlier build.
pub(crate) fn find(workspace: &Workspace, tool: &str) -> Option<PathBuf> {
    let built = workspace.tools().join("bin").join(tool);
    shell::which(tool).or_else(|| shell::is_program(&built).then_some(built))
}

/// The same, built now where there is none yet.
pub(crate) fn ensure(workspace: &Workspace, tool: &str, version: &str) -> Result<PathBuf> {
    if let Some(found) = find(workspace, tool) {
        return Ok(found);
    }
    eprintln!("xtask: building {tool} {version} (once)");
    let mut install = workspace.cargo();
    install
        .env("CARGO_TARGET_DIR", workspace.target.join("tools-build"))
        .args(["install", tool, "--locked", "--version", &format!("~{version}"), "--root"])
        .arg(workspace.tools());
    shell::run(&mut install)?;
    Ok(workspace.tools().join("bin").join(tool))
}
