//! Kernel images from Debian's archive, by apt, from releases this machine may not be configured
//! for.
//!
//! A private apt root under `target/kernels/apt` has its own source lines, derived from the mirror
//! that the machine is configured for, and its own package lists. Nothing of the machine's apt is
//! touched, and signatures are checked as always, against Debian's keyring.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::kernel::Source;
use crate::workspace::Workspace;
use crate::{debian, shell};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The newest image of this series: the one fetched before, else from the mirror.
pub(super) fn fetch(workspace: &Workspace, source: &Source) -> Result<PathBuf> {
    let folder = workspace.target.join("kernels").join(source.series).join(source.machine.debian);
    if let Some(image) = image_in(&folder) {
        return Ok(image);
    }
    let apt = Apt::new(&folder.join("apt"), source)?;
    let package = apt.newest_image(source)?;
    eprintln!("xtask: downloading {package}");
    let deb = apt.download(&package)?;
    let image = unpack(&deb, &folder)?;
    // Ten times the size of what is kept.
    fs::remove_dir_all(&apt.root)?;
    Ok(image)
}

fn image_in(folder: &Path) -> Option<PathBuf> {
    folder.read_dir().ok()?.flatten().map(|entry| entry.path()).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    })
}

/// An apt that has nothing in common with the machine's but the mirror and the keys.
struct Apt {
    root: PathBuf,
    /// Whose packages: a kind of machine.
    debian: &'static str,
}

impl Apt {
    fn new(root: &Path, source: &Source) -> Result<Self> {
        debian::have_lists()?;
        debian::ensure(&["debian-archive-keyring"], "checking kernel packages")?;
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("status"), "")?;
        fs::write(root.join("sources.list"), sources(source)?)?;
        let apt = Self { root: root.to_owned(), debian: source.machine.debian };
        eprintln!("xtask: fetching the package lists of {}", source.release);
        shell::run(apt.command("apt-get").args(["-q", "update"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let path = |name: &str| self.root.join(name).display().to_string();
        let mut command = Command::new(program);
        for option in [
            format!("Dir::Etc::SourceList={}", path("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", path("lists")),
            format!("Dir::State::Status={}", path("status")),
            format!("Dir::Cache={}", path("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            // Its own user cannot write below our target folder.
            "APT::Sandbox::User=root".to_owned(),
            format!("APT::Architecture={}", self.debian),
            format!("APT::Architectures={}", self.debian),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }

    /// `name=version` of the newest cloud image: signed packages and unsigned ones are the same
    /// kernel, only the former come for every release.
    fn newest_image(&self, source: &Source) -> Result<String> {
        // A further number must follow: 6.1 is not 6.12, and without one it is a meta-package.
        let series = source.series.replace('.', r"\.");
        let pattern = format!(r"^{}-{series}\.[0-9].*-cloud-{}$", source.package, self.debian);
        let found =
            shell::read(self.command("apt-cache").args(["search", "--names-only", &pattern]))?;
        let names: Vec<&str> = found.lines().filter_map(|line| line.split(' ').next()).collect();
        if names.is_empty() {
            bail!(
                "the mirror has no image of kernel {} in {}: see what there is, and change \
                 xtask/src/kernels/kernel.rs",
                source.series,
                source.release
            );
        }
        let list = shell::read(self.command("apt-cache").arg("madison").args(&names))?;
        let mut newest: Option<(&str, &str)> = None;
        for line in list.lines() {
            let mut columns = line.split('|').map(str::trim);
            let (Some(name), Some(version)) = (columns.next(), columns.next()) else { continue };
            if newest.is_none_or(|(_, best)| is_newer(version, best)) {
                newest = Some((name, version));
            }
        }
        let (name, version) = newest.context("apt-cache madison lists no version")?;
        Ok(format!("{name}={version}"))
    }

    fn download(&self, package: &str) -> Result<PathBuf> {
        let mut get = self.command("apt-get");
        shell::run(get.args(["-q", "download", package]).current_dir(&self.root))?;
        let mut files = self.root.read_dir()?.flatten().map(|entry| entry.path());
        files
            .find(|path| path.extension().is_some_and(|end| end == "deb"))
            .with_context(|| format!("apt-get download {package} left no file"))
    }
}

/// Source lines for another release on the machine's own mirrors.
fn sources(source: &Source) -> Result<String> {
    let Source { release, machine, .. } = source;
    let mut ask = Command::new("apt-get");
    ask.args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    let targets = shell::read(&mut ask)?;
    let mirror =
        |label: &str| targets.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    let main = mirror("Debian").context("apt is configured for no Debian mirror")?;
    let mut lines =
        format!("deb [arch={} signed-by={KEYRING}] {main} {release} main\n", machine.debian);
    // What is still in the making has no updates of its own.
    if let Some(security) = mirror("Debian-Security").filter(|_| *release != "sid") {
        lines += &format!(
            "deb [arch={} signed-by={KEYRING}] {security} {release}-security main\n",
            machine.debian
        );
    }
    Ok(lines)
}

fn is_newer(version: &str, than: &str) -> bool {
    let mut compare = Command::new("dpkg");
    compare.args(["--compare-versions", version, "gt", than]);
    compare.status().is_ok_and(|status| status.success())
}

/// Takes the image out of the package, and nothing else.
fn unpack(deb: &Path, folder: &Path) -> Result<PathBuf> {
    let contents = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start dpkg-deb")?;
    let mut tar = Command::new("tar")
        .current_dir(folder)
        // In /boot with its version in its name, or beside its modules without.
        .args(["-x", "--wildcards", "--transform=s,.*/,,", "./*/vmlinuz*"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start tar")?;
    tar.stdin.take().context("tar takes no input")?.write_all(&contents.stdout)?;
    if !tar.wait()?.success() {
        bail!("cannot unpack {}", deb.display());
    }
    image_in(folder).with_context(|| format!("{} holds no image", deb.display()))
}
