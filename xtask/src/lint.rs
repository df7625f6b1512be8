//! `lint`: form, habits, and what we depend on.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;
use crate::{build, build_ebpf, fleet, fuzz, shell, tools};

/// Arguments of `lint`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the dependencies unchecked where cargo-deny would have to be built first
    #[arg(long)]
    quick: bool,
}

/// Stops at the first that complains, cheapest first.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    for outside in ["sensor-ebpf"].into_iter().chain(fuzz::FOLDERS) {
        let manifest = workspace.root.join(outside).join("Cargo.toml");
        let mut format = workspace.cargo();
        shell::run(format.args(["fmt", "--check", "--manifest-path"]).arg(manifest))?;
    }
    shell::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    dependencies(workspace, args.quick)?;
    // The sensor embeds the probes, so that not even clippy can do without them.
    build_ebpf::run(workspace)?;
    build::have_make()?;
    fleet::have_protoc()?;
    let mut clippy = workspace.cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    shell::run(&mut clippy)
}

fn dependencies(workspace: &Workspace, quick: bool) -> Result<()> {
    let deny = match tools::find(workspace, "cargo-deny") {
        Some(deny) => deny,
        None if quick => {
            eprintln!("skipped: dependencies (cargo-deny is built by `cargo xtask lint`)");
            return Ok(());
        }
        None => tools::ensure(workspace, "cargo-deny", "0.20")
            .context("cannot have cargo-deny; dependencies are unchecked (--quick to go on)")?,
    };
    // Advisories need a database from the network, and change while the tree does not.
    let mut check = Command::new(&deny);
    check.current_dir(&workspace.root);
    shell::run(check.args(["--all-features", "check", "bans", "licenses", "sources"]))
}
