//! Pid 1 of a guest: mounts what programs expect, runs the checks, buries the dead, powers off.

use std::process::{Command, ExitCode};
use std::{env, fs, io};

use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, WaitOptions, wait};
use rustix::system::{RebootCommand, reboot};

/// Kind of file system and where it goes, in an order in which each mount point exists.
const MOUNTS: [(&str, &str); 9] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tracefs", "/sys/kernel/tracing"),
    ("bpf", "/sys/fs/bpf"),
];

/// Never returns in a guest; a kernel whose init ends panics, and says so on the console.
pub(crate) fn run() -> ExitCode {
    // No session is begun: what a service manager or a container's init starts may have none either.
    for (kind, place) in MOUNTS {
        if let Err(error) = mount_one(kind, place) {
            println!("init: cannot mount {kind} on {place}: {error}");
        }
    }
    if let Err(error) = wanglou_testkit::sys::loopback_up() {
        println!("init: cannot bring the loopback device up: {error}");
    }
    if let Err(error) = run_checks() {
        println!("init: cannot run the checks: {error}");
    }
    let error = reboot(RebootCommand::PowerOff);
    println!("init: cannot power off: {error:?}");
    ExitCode::FAILURE
}

fn mount_one(kind: &str, place: &str) -> io::Result<()> {
    // /dev/pts is in a file system that has just been mounted.
    fs::create_dir_all(place)?;
    mount(kind, place, kind, MountFlags::empty(), None)?;
    Ok(())
}

/// Runs them in a child, so that a crash is one failure and not the machine's, and reaps
/// everything that is orphaned meanwhile.
fn run_checks() -> io::Result<()> {
    let checks = Command::new(env::current_exe()?)
        .env("WANGLOU_SENSOR", "/bin/wanglou-sensor")
        .env("WANGLOU_TESTKIT_BIN", "/bin")
        .env("RUST_BACKTRACE", "1")
        .env(crate::checks::clock::GUEST, "1")
        .arg("checks")
        .spawn()?;
    let checks = Pid::from_raw(checks.id().cast_signed());
    loop {
        let ended = wait(WaitOptions::empty())?;
        if ended.map(|(pid, _)| pid) == checks {
            return Ok(());
        }
    }
}
