//! A Debian package, made by dpkg-deb.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Release;
use super::programs::{Program, Unit};
use crate::shell;
use crate::workspace::Workspace;

const MAINTAINER: &str = "The Wanglou project <wanglou@localhost>";

/// How what is in a package is packed.
#[derive(Clone, Copy)]
pub(super) enum Packing {
    /// For others, who get it over a network.
    Tight,
    /// For a test, which unpacks it at once.
    Quick,
}

/// Where it is.
pub(super) fn of(
    workspace: &Workspace,
    program: &Program,
    binary: &Path,
    release: &Release,
    packing: Packing,
) -> Result<PathBuf> {
    let root = release.folder.join("deb").join(program.name);
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    put(&root, &format!("usr/bin/{}", program.name), 0o755, &fs::read(binary)?)?;
    for (from, to) in program.files {
        let bytes = fs::read(workspace.root.join(from)).with_context(|| (*from).to_owned())?;
        put(&root, to, 0o644, &bytes)?;
    }
    let mut copyright = Vec::new();
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        copyright.extend(fs::read(workspace.root.join(license))?);
        copyright.push(b'\n');
    }
    put(&root, &format!("usr/share/doc/{}/copyright", program.name), 0o644, &copyright)?;

    let size: u64 = files(&root)?.iter().map(|(_, bytes)| bytes.div_ceil(1024)).sum();
    put(&root, "DEBIAN/control", 0o644, control(program, release, size).as_bytes())?;
    let kept: String = program.files.iter().filter_map(|(_, to)| kept(to)).collect();
    if !kept.is_empty() {
        put(&root, "DEBIAN/conffiles", 0o644, kept.as_bytes())?;
    }
    if let Some(unit) = &program.unit {
        for (name, script) in scripts(unit) {
            put(&root, &format!("DEBIAN/{name}"), 0o755, script.as_bytes())?;
        }
    }

    let name = format!("{}_{}_{}.deb", program.name, release.version, release.machine.debian);
    let package = release.folder.join(name);
    let mut make = Command::new("dpkg-deb");
    make.env("SOURCE_DATE_EPOCH", release.time.to_string());
    let packing = match packing {
        Packing::Tight => "-Zxz",
        Packing::Quick => "-Znone",
    };
    make.args(["--build", "--root-owner-group", packing]).arg(&root).arg(&package);
    shell::run(&mut make)?;
    Ok(package)
}

fn control(program: &Program, release: &Release, kilobytes: u64) -> String {
    let makes_user = program.unit.as_ref().is_some_and(|unit| unit.user.is_some());
    let depends = if makes_user { "Depends: systemd | systemd-sysusers\n" } else { "" };
    format!(
        "Package: {}\n\
         Version: {}\n\
         Architecture: {}\n\
         Maintainer: {MAINTAINER}\n\
         Installed-Size: {kilobytes}\n\
         {depends}\
         Section: admin\n\
         Priority: optional\n\
         Description: {}\n",
        program.name, release.version, release.machine.debian, program.about,
    )
}

/// A line of `conffiles`, for what the owner of the machine may change.
fn kept(to: &str) -> Option<String> {
    to.starts_with("etc/").then(|| format!("/{to}\n"))
}

/// What dpkg does beside copying files. Where no systemd runs, as in an image that is being made, a unit that starts by
/// itself is enabled and starts with the machine.
fn scripts(unit: &Unit) -> [(&'static str, String); 3] {
    let (name, folders) = (unit.name, unit.folders.join(" "));
    let running = "[ -d /run/systemd/system ]";
    let user =
        unit.user.map(|file| format!("\x20   systemd-sysusers {file}\n")).unwrap_or_default();
    // Whoever has disabled it before an upgrade finds it disabled after it.
    let (enable, start) = if unit.starts {
        (
            format!("\x20       [ -n \"$2\" ] || systemctl enable {name}\n"),
            format!("\x20           [ -n \"$2\" ] || systemctl start {name}\n"),
        )
    } else {
        (String::new(), String::new())
    };
    let after = format!(
        "#!/bin/sh\nset -e\n\
         if [ \"$1\" = configure ]; then\n\
         {user}\
         \x20   if command -v systemctl >/dev/null; then\n\
         {enable}\
         \x20       if {running}; then\n\
         \x20           systemctl daemon-reload\n\
         \x20           [ -z \"$2\" ] || systemctl try-restart {name}\n\
         {start}\
         \x20       fi\n\
         \x20   fi\n\
         fi\n"
    );
    let before = format!(
        "#!/bin/sh\nset -e\n\
         if [ \"$1\" = remove ] && {running}; then systemctl stop {name}; fi\n\
         if [ \"$1\" = remove ] && command -v systemctl >/dev/null; then systemctl disable {name}; fi\n"
    );
    let gone = format!(
        "#!/bin/sh\nset -e\n\
         if {running}; then systemctl daemon-reload; fi\n\
         if [ \"$1\" = purge ]; then rm -rf {folders}; fi\n"
    );
    [("postinst", after), ("prerm", before), ("postrm", gone)]
}

fn put(root: &Path, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let path = root.join(path);
    let folder = path.parent().context("it is a file in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    // Whatever the umask of who packs it.
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// All files below a folder, and how large they are.
fn files(folder: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.extend(files(&entry.path())?);
        } else {
            all.push((entry.path(), entry.metadata()?.len()));
        }
    }
    Ok(all)
}
