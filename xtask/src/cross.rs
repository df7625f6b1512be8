//! Compiling for machines of another kind than this one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{debian, shell};

/// What this machine is, as rustc calls it.
pub(crate) fn host() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "aarch64-unknown-linux-gnu"
    } else {
        "x86_64-unknown-linux-gnu"
    }
}

/// Has the standard library and a C compiler, installed where they are not there yet.
pub(crate) fn ensure(triple: &str) -> Result<()> {
    has_standard_library(triple)?;
    if triple == host() {
        return Ok(());
    }
    let package = format!("g++-{}", gnu(triple).replace('_', "-"));
    debian::ensure(&[&package], &format!("compiling for {triple}"))
}

fn has_standard_library(triple: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    let folder = shell::ask(rustc.args(["--print", "target-libdir", "--target", triple]));
    let folder = folder.with_context(|| format!("rustc knows no {triple}"))?;
    if Path::new(&folder).is_dir() {
        return Ok(());
    }
    let missing = format!("there is no standard library for {triple}");
    if shell::which("rustup").is_none() {
        bail!("{missing}, and no rustup that could get one");
    }
    shell::run(Command::new("rustup").args(["target", "add", triple])).context(missing)
}

/// Says how that is linked, if not as usual.
pub(crate) fn link(cargo: &mut Command, triple: &str) {
    if triple != host() {
        cargo.env(variable(triple, "LINKER"), gnu(triple) + "-gcc");
    }
}

/// What cargo calls a setting for one kind of machine.
pub(crate) fn variable(triple: &str, setting: &str) -> String {
    format!("CARGO_TARGET_{}_{setting}", triple.to_uppercase().replace('-', "_"))
}

/// As GNU's tools, and so Debian's packages of them, call the machine.
fn gnu(triple: &str) -> String {
    triple.replace("-unknown", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_have_names_of_their_own_for_machines() {
        let triple = "aarch64-unknown-linux-gnu";
        assert_eq!(gnu(triple), "aarch64-linux-gnu");
        assert_eq!(variable(triple, "LINKER"), "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER");
    }
}
