//! `test-kernels`: boots Debian's kernels in qemu and runs the sensor's checks in each.
//!
//! ```text
//! image      vmlinuz from Debian's archive      ┐
//! initramfs  /init (xtask/guest), the sensor,   ├▶ boot (qemu) ─▶ report: kernel × check
//!            the testkit's programs             ┘             │
//!                                                             ▼
//!                                document: the table in docs/kernels.md, written or compared
//! ```

mod boot;
mod document;
mod image;
mod initramfs;
mod kernel;
mod report;
mod tables;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context as _, Result};

use crate::cross;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{build, debian, test};
use kernel::{Kernel, Machine};
use report::Report;

pub(crate) use kernel::{ALL, DAILY};

/// Arguments of `test-kernels`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 5.10, 6.1, 6.12, 7.2, 6.12-arm64, 6.12-locked, native, or all
    #[arg(required = true, value_parser = parse)]
    kernels: Vec<Kernels>,
    /// Write what is found into docs/kernels.md, rather than compare it
    #[arg(long)]
    write: bool,
}

/// What one word on the command line names.
type Kernels = &'static [Kernel];

fn parse(word: &str) -> Result<Kernels, String> {
    if word == "all" {
        return Ok(&ALL);
    }
    ALL.iter()
        .find(|kernel| kernel.name() == word)
        .map(std::slice::from_ref)
        .ok_or_else(|| format!("known are {}, all", ALL.map(Kernel::name).join(", ")))
}

/// Builds what the guests need, boots them, and fails if a check does.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    test::build_all(workspace)?;
    let reports = checked(workspace, &args.kernels.concat())?;
    let mut total = shown(&reports);
    if args.write {
        document::write(workspace, &reports)?;
    } else {
        total += document::compare(workspace, &reports)?;
    }
    println!("{total}");
    Ok(total.exit_code())
}

/// The same as part of all tests; expects the sensor to be built.
pub(crate) fn test(workspace: &Workspace, kernels: &[Kernel]) -> Result<Tally> {
    let reports = checked(workspace, kernels)?;
    let mut total = shown(&reports);
    total += document::compare(workspace, &reports)?;
    Ok(total)
}

/// Runs the checks on each kernel.
fn checked(workspace: &Workspace, kernels: &[Kernel]) -> Result<Vec<Report>> {
    build::release(workspace, "wanglou-guest", &["wanglou-guest"])?;
    let (guests, own): (Vec<Kernel>, Vec<_>) =
        kernels.iter().partition(|kernel| kernel.source().is_some());
    // Two at a time: one waits as often as it computes.
    let mut reports: Vec<_> = guests.chunks(2).flat_map(|pair| at_once(workspace, pair)).collect();
    for kernel in own {
        eprintln!("xtask: checks on {}", kernel.name());
        reports.push(or_failed(kernel, native(workspace)));
    }
    Ok(reports)
}

/// Boots these, and waits for all of them.
fn at_once(workspace: &Workspace, kernels: &[Kernel]) -> Vec<Report> {
    let run = |kernel: Kernel, qemu: Result<Command>| {
        eprintln!("xtask: checks on {}", kernel.name());
        or_failed(kernel, qemu.and_then(|qemu| boot::run(kernel.name(), qemu)))
    };
    let ready: Vec<_> = kernels.iter().map(|kernel| prepared(workspace, *kernel)).collect();
    thread::scope(|scope| {
        let running = kernels
            .iter()
            .zip(ready)
            .map(|(kernel, qemu)| (*kernel, scope.spawn(move || run(*kernel, qemu))));
        // All have begun before the first is waited for.
        let running: Vec<_> = running.collect();
        let ended = running.into_iter().map(|(kernel, one)| {
            one.join().unwrap_or_else(|_| Report::failed(kernel.name(), "xtask has panicked"))
        });
        ended.collect()
    })
}

/// What keeps one from being booted is no reason not to try the others.
fn or_failed(kernel: Kernel, report: Result<Report>) -> Report {
    report.unwrap_or_else(|error| {
        eprintln!("xtask: {}: {error:#}", kernel.name());
        Report::failed(kernel.name(), &format!("{error:#}"))
    })
}

/// Prints the tables, and counts.
fn shown(reports: &[Report]) -> Tally {
    print!("\n{}", tables::document(reports));
    let mut total = Tally::default();
    for report in reports {
        total += report.tally();
    }
    total
}

/// A machine that has not been switched on.
fn prepared(workspace: &Workspace, kernel: Kernel) -> Result<Command> {
    let source = kernel.source().context("it is not booted")?;
    let machine = source.machine;
    debian::ensure(&[machine.qemu.1], "booting other kernels")?;
    let image = image::fetch(workspace, &source)?;
    let initramfs = workspace.target.join(format!("kernels/{}.cpio", kernel.name()));
    initramfs::write(&programs(workspace, machine)?, &initramfs)?;
    Ok(boot::qemu(machine, &image, &initramfs, kernel.parameters()))
}

/// The folder of what guests run: what was built for this machine, or the same for another kind.
fn programs(workspace: &Workspace, machine: &Machine) -> Result<PathBuf> {
    if machine.triple == cross::host() {
        return Ok(workspace.target.join("release"));
    }
    cross::ensure(machine.triple)?;
    for (package, binaries) in [
        ("wanglou-sensor", &["wanglou-sensor"][..]),
        ("wanglou-testkit", &test::TESTKIT_BINARIES),
        ("wanglou-guest", &["wanglou-guest"]),
    ] {
        build::release_for(workspace, machine.triple, package, binaries)?;
    }
    Ok(workspace.target.join(machine.triple).join("release"))
}

/// The same checks as children of ours.
fn native(workspace: &Workspace) -> Result<Report> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Report::absent(
            Kernel::Native.name(),
            "the sensor attaches probes as root only",
        ));
    }
    let mut checks = Command::new(workspace.release("wanglou-guest"));
    checks
        .env("WANGLOU_SENSOR", workspace.release("wanglou-sensor"))
        .env("WANGLOU_TESTKIT_BIN", workspace.target.join("release"));
    boot::run(Kernel::Native.name(), checks)
}
