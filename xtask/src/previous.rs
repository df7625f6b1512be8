//! An earlier version of both programs, for tests that upgrade from it; part of `test --nightly`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, shell};

/// What a host may have when this version comes to it. To be moved on with each release, never without one.
const COMMIT: &str = "a2b6212f";

/// The folder of its programs, compiled now where they are not there yet. `None` where the commit is unknown, as in a
/// copy without its history.
pub(crate) fn build(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let folder = workspace.target.join("previous").join(COMMIT);
    let programs = folder.join("programs");
    if ["wanglou-sensor", "wanglou-control-plane"].iter().all(|it| programs.join(it).is_file()) {
        return Ok(Some(programs));
    }
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(&workspace.root);
        git
    };
    if shell::ask(git().args(["cat-file", "-t", COMMIT])).is_none() {
        eprintln!(
            "xtask: {COMMIT} is not in this repository's history: nothing is upgraded from it"
        );
        return Ok(None);
    }
    eprintln!("xtask: building version {COMMIT} (once)");
    let tree = folder.join("tree");
    if !tree.exists() {
        let mut clone = git();
        clone.args(["clone", "--quiet", "--local", "--no-checkout"]).arg(&workspace.root);
        shell::run(clone.arg(&tree))?;
    }
    shell::run(Command::new("git").current_dir(&tree).args(["checkout", "--quiet", COMMIT]))?;
    let old = Workspace { target: tree.join("target"), root: tree.clone() };
    fs::create_dir_all(&old.target)?;
    if !old.tools().exists() {
        std::os::unix::fs::symlink(workspace.tools(), old.tools())?;
    }
    let sensor = build::run(&old)?;
    build::release(&old, "wanglou-control-plane", &["wanglou-control-plane"])?;
    fs::create_dir_all(&programs)?;
    fs::copy(sensor, programs.join("wanglou-sensor"))?;
    let control_plane = old.release("wanglou-control-plane");
    fs::copy(control_plane, programs.join("wanglou-control-plane"))?;
    // Ten times what is kept.
    fs::remove_dir_all(&tree)?;
    Ok(Some(programs))
}
