//! `build`: the probes, then the sensor around them.

use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build_ebpf, shell};

/// Builds the release binary of the sensor and returns its path.
pub(crate) fn run(workspace: &Workspace) -> Result<PathBuf> {
    build_ebpf::run(workspace)?;
    shell::run(workspace.cargo().args(["build", "--release", "--package", "wanglou-sensor"]))?;
    Ok(workspace.release("wanglou-sensor"))
}
