//! Whether what is given to others works, and is the same twice; part of `test --nightly`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{Packing, Release, compile, deb, host, image, programs, sbom};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{debian, shell};

const PROGRAM: &str = "wanglou-sensor";
/// What it says once it works.
const READY: &str = ": ready: ";
const SUITE: &str = "bookworm";

/// What is tried, and how.
type Trial = (&'static str, fn(&Workspace) -> Result<()>);

/// Those that take least come first.
const TRIALS: [Trial; 3] = [
    ("its package is installed, upgraded and removed", is_installed),
    ("it is the same from another folder", is_the_same),
    ("all programs are compiled for machines of another kind", is_for_others),
];

/// One passed or failed for each of them.
pub(crate) fn run(workspace: &Workspace) -> Result<Tally> {
    super::make(workspace, Some(PROGRAM), host())?;
    let mut tally = Tally::default();
    for (what, tried) in TRIALS {
        eprintln!("xtask: dist: {what} ...");
        match tried(workspace) {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                eprintln!("xtask: dist: {what}: {error:#}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

/// Compiles the same commit in another place.
fn is_the_same(workspace: &Workspace) -> Result<()> {
    let elsewhere = workspace.target.join("elsewhere");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere)?;
    }
    let mut copy = Command::new("git");
    copy.args(["clone", "--quiet", "--local"]).arg(&workspace.root).arg(&elsewhere);
    shell::run(&mut copy)?;
    // Probes are compiled by another compiler, and only once.
    let probes = workspace.target.join("ebpf");
    let other = Workspace { root: elsewhere.clone(), target: elsewhere.join("target") };
    fs::create_dir_all(&other.target)?;
    shell::run(Command::new("cp").arg("-a").arg(&probes).arg(&other.target))?;

    let program = &programs::chosen(Some(PROGRAM))?[0];
    let made = |workspace: &Workspace| -> Result<Vec<u8>> {
        let release = Release::of(workspace, host())?;
        let binary = fs::read(compile(workspace, program, &release)?)?;
        image::of(program, &binary, &sbom::of(workspace, program, &release)?, &release)
    };
    let (here, there) = (made(workspace)?, made(&other)?);
    fs::remove_dir_all(&elsewhere)?;
    ensure!(here == there, "the images differ: {} and {} bytes", here.len(), there.len());
    Ok(())
}

/// Everything, for the kind of machine that this one is not.
fn is_for_others(workspace: &Workspace) -> Result<()> {
    // `e_machine` of elf(5), where it is, and the other kind.
    const AT: std::ops::Range<usize> = 18..20;
    let (triple, machine) = if cfg!(target_arch = "aarch64") {
        ("x86_64-unknown-linux-gnu", 62_u16)
    } else {
        ("aarch64-unknown-linux-gnu", 183)
    };
    super::make(workspace, None, triple)?;
    for program in programs::chosen(None)? {
        let path = workspace.target.join(triple).join("release").join(program.name);
        let binary = fs::read(&path)?;
        let is = binary.get(AT).and_then(|bytes| Some(u16::from_le_bytes(bytes.try_into().ok()?)));
        ensure!(is == Some(machine), "{} is for {is:?}, not {machine}", path.display());
    }
    Ok(())
}

/// Into a Debian of its own.
fn is_installed(workspace: &Workspace) -> Result<()> {
    debian::ensure(&["debootstrap"], "trying the package")?;
    let release = Release::of(workspace, host())?;
    let program = &programs::chosen(Some(PROGRAM))?[0];
    let binary = compile(workspace, program, &release)?;
    let first = deb::of(workspace, program, &binary, &release, Packing::Tight)?;
    let later = Release { version: format!("{}+1", release.version), ..release };
    let second = deb::of(workspace, program, &binary, &later, Packing::Tight)?;

    let root = Root::new(workspace.target.join("debian"))?;
    let kept = root.0.join("etc/wanglou/sensor.toml");
    root.dpkg(&["--install"], Some(&first))?;
    root.run(&["wanglou-sensor", "config", "check", "/etc/wanglou/sensor.toml"])?;
    root.works()?;
    let ours = fs::read_to_string(&kept)? + "\n# ours\n";
    fs::write(&kept, &ours)?;
    root.dpkg(&["--install"], Some(&second))?;
    ensure!(fs::read_to_string(&kept)? == ours, "an upgrade has changed the settings");
    root.works()?;
    root.dpkg(&["--remove", PROGRAM], None)?;
    ensure!(!root.0.join("usr/bin/wanglou-sensor").exists(), "the program is still there");
    ensure!(kept.exists(), "the settings are gone before anybody has said so");
    root.dpkg(&["--purge", PROGRAM], None)?;
    ensure!(!kept.exists(), "the settings are still there");
    let enabled = root.0.join("etc/systemd/system/multi-user.target.wants/wanglou-sensor.service");
    ensure!(fs::symlink_metadata(&enabled).is_err(), "the unit is still enabled");
    Ok(())
}

/// A Debian in a folder, with this machine's processes in it.
struct Root(PathBuf);

impl Root {
    fn new(path: PathBuf) -> Result<Self> {
        if !path.exists() {
            // One that was not finished is none.
            let part = path.with_extension("part");
            if part.exists() {
                fs::remove_dir_all(&part)?;
            }
            let mut make = Command::new("debootstrap");
            make.args(["--variant=minbase", "--include=systemd", SUITE]).arg(&part);
            shell::run(&mut make)?;
            fs::rename(part, &path)?;
        }
        let root = Self(path);
        for (kind, place) in [("proc", "proc"), ("sysfs", "sys")] {
            let mut mount = Command::new("mount");
            shell::run(mount.args(["-t", kind, kind]).arg(root.0.join(place)))?;
        }
        Ok(root)
    }

    fn run(&self, command: &[&str]) -> Result<()> {
        shell::run(Command::new("chroot").arg(&self.0).args(command))
    }

    fn dpkg(&self, arguments: &[&str], package: Option<&Path>) -> Result<()> {
        let mut command = [&["dpkg"], arguments].concat();
        if let Some(package) = package {
            fs::copy(package, self.0.join("wanglou.deb"))?;
            command.push("/wanglou.deb");
        }
        self.run(&command)
    }

    /// It starts as its unit starts it, says that it is ready, and ends when it is told to.
    fn works(&self) -> Result<()> {
        let mut start = Command::new("chroot");
        start.arg(&self.0).args(["/usr/bin/wanglou-sensor", "run"]);
        let mut child = start.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let told = BufReader::new(child.stderr.take().context("it says nothing")?).lines();
        let mut said = Vec::new();
        let is_ready = told.map_while(Result::ok).any(|line| {
            said.push(line);
            said.last().is_some_and(|line| line.contains(READY))
        });
        let pid = rustix::process::Pid::from_child(&child);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let status = child.wait()?;
        ensure!(is_ready, "it is not ready: {}", said.join("\n"));
        ensure!(status.success(), "it ended with {status}: {}", said.join("\n"));
        Ok(())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for place in ["sys", "proc"] {
            // One that was not mounted is none.
            let _ = Command::new("umount").arg(self.0.join(place)).status();
        }
    }
}
