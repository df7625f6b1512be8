//! Runs every fuzz target for a while; part of `test --nightly`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{fleet, shell, tools};

/// Where there are fuzz targets: crates of their own, as they are built with a compiler of their own.
pub(crate) const FOLDERS: [&str; 2] = ["control-plane/fuzz", "sensor/fuzz"];

/// One passed or failed per target.
pub(crate) fn run(workspace: &Workspace, minutes: u64) -> Result<Tally> {
    if shell::ask(nightly("rustc").arg("--version")).is_none() {
        eprintln!("skipped: fuzzing needs `rustup toolchain install nightly`");
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    let cargo_fuzz = tools::ensure(workspace, "cargo-fuzz", "0.13")?;
    let cargo_fuzz = cargo_fuzz.to_string_lossy();
    // What it links builds something with protoc.
    fleet::have_protoc()?;
    let mut tally = Tally::default();
    for folder in FOLDERS {
        tally += run_folder(workspace, &cargo_fuzz, &workspace.root.join(folder), minutes)?;
    }
    Ok(tally)
}

fn run_folder(
    workspace: &Workspace,
    cargo_fuzz: &str,
    folder: &Path,
    minutes: u64,
) -> Result<Tally> {
    let targets = shell::read(nightly(cargo_fuzz).arg("list").arg("--fuzz-dir").arg(folder))?;
    let mut tally = Tally::default();
    for target in targets.split_whitespace() {
        eprintln!("xtask: fuzzing {target} for {minutes} min");
        let mut fuzz = nightly(cargo_fuzz);
        // What was found before is kept; what is in the repository is only read.
        let corpus = folder.join("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        fuzz.current_dir(&workspace.root).args(["run", "--fuzz-dir"]).arg(folder).arg(target);
        fuzz.arg(corpus).arg(folder.join("seeds").join(target)).args([
            "--",
            &format!("-max_total_time={}", minutes * 60),
            "-print_final_stats=1",
        ]);
        match shell::run(&mut fuzz) {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                eprintln!("xtask: fuzzing {target}: {error}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

/// The sanitizers that fuzzing is built with are not in the stable compiler.
fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    // What the outer cargo set would lead back to the stable one.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command.args(["run", "nightly", program]);
    command
}
