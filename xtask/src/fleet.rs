//! The fleet's half of the tree: what its build needs, and the programs that its tests start.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{debian, shell};

/// Release, but for what makes its builds slow.
const PROFILE: &str = "fleet";

/// Compiling what talks to etcd runs protoc, which must find the types that come with it. Everything that compiles the
/// whole workspace wants this first.
pub(crate) fn have_protoc() -> Result<()> {
    let has_types = |folder: &Path| folder.join("google/protobuf/empty.proto").is_file();
    // It looks beside itself.
    let beside = |protoc: PathBuf| Some(protoc.parent()?.parent()?.join("include"));
    let protoc = env::var_os("PROTOC").map(PathBuf::from).or_else(|| shell::which("protoc"));
    let given = env::var_os("PROTOC_INCLUDE").map(PathBuf::from);
    let is_there = match (protoc, given) {
        (Some(_), Some(types)) => has_types(&types),
        (Some(protoc), None) => beside(protoc).is_some_and(|types| has_types(&types)),
        (None, _) => false,
    };
    if is_there {
        return Ok(());
    }
    debian::have_lists()?;
    debian::ensure(&["protobuf-compiler", "libprotobuf-dev"], "compiling what talks to etcd")
}

/// Builds what a fleet consists of: replicas, the operator's program, and hosts by the thousand.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    have_protoc()?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", PROFILE, "--bins"]);
    for package in ["wanglou-control-plane", "wanglou-cli", "wanglou-fleet-testkit"] {
        cargo.args(["--package", package]);
    }
    shell::run(&mut cargo)
}

/// Where [`build`] puts all of it.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join(PROFILE)
}

/// A program that [`build`] has made.
pub(crate) fn program(workspace: &Workspace, name: &str) -> PathBuf {
    folder(workspace).join(name)
}
