//! `test-kernels`: boots Debian's kernels in qemu and runs the sensor's checks in each.
//!
//! ```text
//! image      vmlinuz from Debian's archive      ┐
//! initramfs  /init (xtask/guest), the sensor,   ├▶ boot (qemu) ─▶ report: kernel × check
//!            the testkit's programs             ┘
//! ```

mod boot;
mod image;
mod initramfs;
mod report;

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::ValueEnum;

use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{build, debian, test};
use report::Report;

/// A kernel to test on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
    /// The one that is running, without a virtual machine
    #[value(name = "native")]
    Native,
}

/// All of them, oldest first.
pub(crate) const ALL: [Kernel; 4] = [Kernel::V5_10, Kernel::V6_1, Kernel::V6_12, Kernel::Native];

/// By day: the oldest that is served, and this machine's.
pub(crate) const FLOOR_AND_NATIVE: [Kernel; 2] = [Kernel::V5_10, Kernel::Native];

/// Arguments of `test-kernels`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 5.10, 6.1, 6.12, native, or all
    #[arg(required = true, value_parser = parse)]
    kernels: Vec<Kernels>,
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
        .ok_or_else(|| "known are 5.10, 6.1, 6.12, native and all".to_owned())
}

/// Builds what the guests need, boots them, and fails if a check does.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    test::build_all(workspace)?;
    let total = test(workspace, &args.kernels.concat())?;
    println!("{total}");
    Ok(total.exit_code())
}

/// Runs the checks on each kernel and prints a table; expects the sensor to be built.
pub(crate) fn test(workspace: &Workspace, kernels: &[Kernel]) -> Result<Tally> {
    build::release(workspace, "wanglou-guest", &["wanglou-guest"])?;
    let mut reports = Vec::new();
    for &kernel in kernels {
        eprintln!("xtask: checks on {}", kernel.name());
        reports.push(if kernel == Kernel::Native {
            native(workspace)?
        } else {
            guest(workspace, kernel)?
        });
    }
    print!("{}", report::table(&reports));
    let mut total = Tally::default();
    for report in &reports {
        total += report.tally();
    }
    Ok(total)
}

fn guest(workspace: &Workspace, kernel: Kernel) -> Result<Report> {
    debian::ensure(&["qemu-system-x86"], "booting other kernels")?;
    let image = image::fetch(workspace, kernel)?;
    let initramfs = workspace.target.join("kernels/initramfs.cpio");
    initramfs::write(workspace, &initramfs)?;
    boot::run(kernel.name(), boot::qemu(&image, &initramfs))
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

impl Kernel {
    /// As on the command line and in the table.
    fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::Native => "native",
        }
    }
}
