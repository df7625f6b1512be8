//! `test`: everything that can be tested on this machine, and one line that counts it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context as _, Result};

use crate::tally::{HarnessOutput, Tally};
use crate::workspace::Workspace;
use crate::{
    build, build_ebpf, containers, debian, deploy, dist, etcd, fleet, fuzz, kernels, previous,
    room, shell,
};

/// The binaries that play the processes of the tests.
pub(crate) const TESTKIT_BINARIES: [&str; 5] =
    ["actor", "connections", "nest", "storm", "syscall_loop"];

/// Arguments of `test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also what takes long: ignored tests, all kernels, and every fuzz target for a while
    #[arg(long)]
    nightly: bool,
    /// How long each fuzz target runs
    #[arg(long, default_value_t = 2, requires = "nightly", value_name = "N")]
    fuzz_minutes: u64,
}

/// Runs all tests even if some fail, and ends with a line that counts them.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    room::for_tests(workspace)?;
    // Where they cannot be had the tests that want them say so, and are skipped.
    let programs = ["curl", "nginx-light", "python3", "strace", "wrk"];
    if let Err(error) = debian::ensure(&programs, "watching programs of others") {
        eprintln!("xtask: {error:#}");
    }
    fleet::have_protoc()?;
    build_both(workspace)?;
    let mut total = cargo_test(workspace, args.nightly)?;
    total += deploy::test(workspace)?;
    if args.nightly {
        total += fuzz::run(workspace, args.fuzz_minutes)?;
        total += dist::trial::run(workspace)?;
    }
    let kernels: &[_] = if args.nightly { &kernels::ALL } else { &kernels::DAILY };
    total += kernels::test(workspace, kernels)?;
    println!("{total}");
    Ok(total.exit_code())
}

/// Builds what black-box tests start: the sensor, and the programs that it is to see.
pub(crate) fn build_all(workspace: &Workspace) -> Result<()> {
    build::run(workspace)?;
    build::release(workspace, "wanglou-testkit", &TESTKIT_BINARIES)
}

/// The same, and the tests, in folders of their own: where the release is linked one core has nothing to do.
fn build_both(workspace: &Workspace) -> Result<()> {
    // Both want the probes.
    build_ebpf::run(workspace)?;
    build::have_make()?;
    let mut cargo = workspace.cargo();
    // One line that moves is enough.
    cargo.env("CARGO_TERM_PROGRESS_WHEN", "never").args(["test", "--workspace", "--no-run"]);
    thread::scope(|scope| {
        let tests = scope.spawn(|| shell::run(&mut cargo));
        let built = build_all(workspace);
        // What does not compile is counted when the tests are run.
        if !matches!(tests.join(), Ok(Ok(()))) {
            eprintln!("xtask: not all tests compile");
        }
        built
    })
}

fn cargo_test(workspace: &Workspace, ignored_too: bool) -> Result<Tally> {
    let mut cargo = workspace.cargo();
    cargo
        .env("WANGLOU_SENSOR", workspace.release("wanglou-sensor"))
        .env("WANGLOU_TESTKIT_BIN", workspace.target.join("release"))
        .args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    // Programs of the fleet are built with the tests, and as they are: to build one of them alone would build half of
    // what it stands on anew, with other features.
    let built = workspace.target.join("debug");
    cargo
        .env("WANGLOU_CONTROL_PLANE", built.join("wanglou-control-plane"))
        .env("WANGLOU_CLI", built.join("wanglou"))
        .env("WANGLOU_FLEET_BIN", built)
        .env("WANGLOU_ETCD", etcd::find_or_unpack(workspace)?)
        .env("WANGLOU_IMAGE", dist::for_tests::image(workspace)?);
    match containers::find_or_unpack(workspace) {
        Ok(folder) => drop(folder.map(|folder| cargo.env("WANGLOU_CONTAINERD", folder))),
        // The tests that want them say so, and are skipped.
        Err(error) => eprintln!("xtask: {error:#}"),
    }
    match dist::for_tests::pack(workspace) {
        Ok(folder) => drop(cargo.env("WANGLOU_PACKAGES", folder)),
        Err(error) => eprintln!("xtask: {error:#}"),
    }
    if ignored_too {
        cargo.arg("--include-ignored");
        previous::build(workspace)?.map(|folder| cargo.env("WANGLOU_PREVIOUS", folder));
    }
    let (mut tally, succeeded) = watched(&mut cargo)?;
    // A test binary that is killed prints no result.
    if !succeeded && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}

/// Passes on what is worth reading as it comes, counting results; tells whether the command succeeded.
fn watched(cargo: &mut Command) -> Result<(Tally, bool)> {
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let mut output = HarnessOutput::default();
    let stdout = child.stdout.take().context("cargo test has no output")?;
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    // A test may print anything: bytes, not strings.
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        for line in output.line(text.trim_end()) {
            println!("{line}");
        }
        line.clear();
    }
    Ok((output.tally(), child.wait()?.success()))
}
