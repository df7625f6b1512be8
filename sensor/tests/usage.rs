//! Wrong usage and missing rights: one clear line, the right exit code, nothing left behind.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use wanglou_testkit::{bins, root_or_skip, scratch::Scratch, sys};

/// Has no rights anywhere.
const NOBODY: u32 = 65534;

#[test]
fn an_unknown_flag() -> Result<()> {
    wrong_usage(&["watch", "--no-such-flag"])
}

#[test]
fn an_unknown_command() -> Result<()> {
    wrong_usage(&["look"])
}

#[test]
fn an_unknown_backend() -> Result<()> {
    wrong_usage(&["watch", "--backend", "crystal-ball"])
}

#[test]
fn an_unknown_output() -> Result<()> {
    wrong_usage(&["watch", "--output", "xml"])
}

#[test]
fn unknown_events() -> Result<()> {
    wrong_usage(&["watch", "--events", "weather"])
}

#[test]
fn a_ring_of_nothing() -> Result<()> {
    wrong_usage(&["watch", "--ring-bytes", "0"])
}

#[test]
fn a_ring_that_is_no_power_of_two() -> Result<()> {
    wrong_usage(&["watch", "--ring-bytes", "5000"])
}

#[test]
fn a_ring_below_a_page() -> Result<()> {
    wrong_usage(&["watch", "--ring-bytes", "1024"])
}

#[test]
fn a_ring_larger_than_any_memory() -> Result<()> {
    wrong_usage(&["watch", "--ring-bytes", "9223372036854775808"])
}

#[test]
fn a_ring_that_is_no_number() -> Result<()> {
    wrong_usage(&["watch", "--ring-bytes", "plenty"])
}

#[test]
fn a_rule_without_a_verdict() -> Result<()> {
    wrong_usage(&["watch", "--filter", "port=80"])
}

#[test]
fn a_rule_with_an_unknown_condition() -> Result<()> {
    wrong_usage(&["watch", "--filter", "drop weather=rain"])
}

#[test]
fn more_rules_than_there_is_room_for() -> Result<()> {
    let rules = ["--filter", "keep port=80"].repeat(65);
    wrong_usage(&[&["watch"], &rules[..]].concat())
}

#[test]
fn a_limit_that_is_no_number() -> Result<()> {
    wrong_usage(&["watch", "--process-limit", "many"])
}

#[test]
fn help_is_no_error() -> Result<()> {
    let output = ends(Command::new(bins::sensor()?).args(["watch", "--help"]))?;
    ensure!(output.status.success(), "--help ends with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("--backend") && text.contains("--ring-bytes"), "help says: {text}");
    Ok(())
}

#[test]
fn probes_without_rights() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (_scratch, mut sensor) = as_nobody("ebpf")?;
    let output = ends(&mut sensor)?;
    ensure!(output.status.code() == Some(1), "it ends with {}", output.status);
    says_one_line(&output)?;
    says_what_to_do(&output)
}

#[test]
fn cn_proc_without_rights() -> Result<()> {
    refuses_or_works("cn_proc")
}

#[test]
fn anything_without_rights() -> Result<()> {
    refuses_or_works("auto")
}

/// Since 6.6 the kernel lets anyone listen to `cn_proc`; before, nobody without `CAP_NET_ADMIN`.
fn refuses_or_works(backend: &str) -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let (_scratch, mut sensor) = as_nobody(backend)?;
    let mut child = sensor.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    thread::sleep(Duration::from_secs(3));
    if child.try_wait()?.is_some() {
        let output = child.wait_with_output()?;
        ensure!(output.status.code() == Some(1), "it ends with {}", output.status);
        return says_what_to_do(&output);
    }
    let mut event = Command::new(bins::testkit("actor")?).arg("noop").spawn()?;
    event.wait()?;
    sys::kill(child.id(), libc::SIGINT)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "it ends with {}", output.status);
    let told = String::from_utf8(output.stdout)?;
    let pid = format!("\"pid\":{},", event.id());
    ensure!(told.contains(&pid), "it says that it is ready, but sees nothing");
    Ok(())
}

/// As somebody without a single capability.
fn as_nobody(backend: &str) -> Result<(Scratch, Command)> {
    // Where the binary was built, nobody may be allowed to look.
    let scratch = Scratch::new("usage")?;
    let sensor = scratch.join("wanglou-sensor");
    // By another process: what is open for writing here is so in every child that another test forks
    // meanwhile, until that executes something, and such a file cannot be run (ETXTBSY).
    let copied = Command::new("cp").arg(bins::sensor()?).arg(&sensor).status()?;
    ensure!(copied.success(), "cp ended with {copied}");
    let mut command = Command::new(&sensor);
    command.args(["watch", "--backend", backend]).uid(NOBODY).gid(NOBODY).stderr(Stdio::piped());
    Ok((scratch, command))
}

fn says_what_to_do(output: &Output) -> Result<()> {
    let stderr = String::from_utf8(output.stderr.clone())?;
    ensure!(!stderr.contains("ready"), "ready without rights: {stderr}");
    let error = stderr.lines().last().context("nothing on stderr")?;
    let hint = ["root", "CAP_", "rights", "privilege", "permi"];
    ensure!(hint.iter().any(|hint| error.contains(hint)), "not what to do: {error}");
    let left = sys::programs_created_by(NOBODY)?;
    ensure!(left == 0, "{left} programs left attached");
    no_panic(&stderr)
}

fn wrong_usage(args: &[&str]) -> Result<()> {
    let output = ends(Command::new(bins::sensor()?).args(args))?;
    ensure!(output.status.code() == Some(2), "{args:?} ends with {}", output.status);
    says_one_line(&output)
}

/// It does so by itself, soon: one that starts to watch instead is ended.
fn ends(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            bail!("it still runs: {}", String::from_utf8_lossy(&child.wait_with_output()?.stderr));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(child.wait_with_output()?)
}

fn says_one_line(output: &Output) -> Result<()> {
    let stderr = String::from_utf8(output.stderr.clone())?;
    ensure!(output.stdout.is_empty(), "an error on stdout");
    let lines = stderr.lines().filter(|line| !line.trim().is_empty()).count();
    ensure!(lines == 1, "an error in {lines} lines: {stderr}");
    no_panic(&stderr)
}

fn no_panic(stderr: &str) -> Result<()> {
    ensure!(!stderr.contains("panicked") && !stderr.contains("backtrace"), "{stderr}");
    Ok(())
}
