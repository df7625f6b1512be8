//! What is in `docs/deploy`, read by the programs that it is for: manifests against Kubernetes' own schemas, rules and their
//! tests by Prometheus. Part of `test`. That settings, metrics and ids in it exist is for `control-plane/tests/deploy.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{debian, shell};

/// Kubernetes' schemas by version, and the program that compares with them.
const VALIDATOR: &str = "kubernetes-validate==1.37.0";
/// The oldest that has every field that the manifests use, and the newest that the validator knows.
const VERSIONS: [&str; 2] = ["1.30.0", "1.37.0"];
/// What somebody applies: a folder each.
const OVERLAYS: [&str; 2] = [".", "scrape-by-address"];

/// One passed or failed for each question; a program that cannot be had is a skipped one.
pub(crate) fn test(workspace: &Workspace) -> Result<Tally> {
    let folder = workspace.root.join("docs/deploy");
    let mut tally = Tally::default();
    match validator(workspace) {
        Ok(python) => tally += kubernetes(workspace, &python, &folder.join("kubernetes"))?,
        Err(error) => tally += skipped(&error.context("manifests are not validated")),
    }
    match promtool(workspace) {
        Ok(promtool) => tally += prometheus(workspace, &promtool, &folder.join("monitoring"))?,
        Err(error) => tally += skipped(&error.context("rules of Prometheus are not tested")),
    }
    Ok(tally)
}

fn kubernetes(workspace: &Workspace, python: &Path, folder: &Path) -> Result<Tally> {
    let mut manifests = Vec::new();
    for part in [".", "etcd", "control-plane", "sensor"] {
        manifests.extend(files(&folder.join(part), "yaml")?);
    }
    manifests.retain(|file| !file.ends_with("kustomization.yaml"));
    let valid = |files: &[PathBuf], version: &str| {
        let mut validate = Command::new(python);
        validate.args(["-m", "kubernetes_validate", "--strict", "--quiet", "-k", version]);
        counted(validate.args(files))
    };
    let mut tally = Tally::default();
    for version in VERSIONS {
        tally += valid(&manifests, version);
    }
    let Some(kubectl) = kubectl() else {
        let why = "what is applied is not put together: there is no kubectl with kustomize 5";
        tally += skipped(&anyhow::anyhow!(why));
        return Ok(tally);
    };
    for overlay in OVERLAYS {
        let mut build = Command::new(&kubectl);
        let text = match shell::read(build.arg("kustomize").arg(folder.join(overlay))) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("xtask: {error:#}");
                tally.failed += 1;
                continue;
            }
        };
        let file = built(workspace)?.join(format!("{}.yaml", overlay.replace('.', "all")));
        fs::write(&file, text)?;
        tally += valid(&[file], VERSIONS[1]);
    }
    Ok(tally)
}

fn prometheus(workspace: &Workspace, promtool: &Path, folder: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    let rules = files(&folder.join("rules"), "yml")?;
    tally += counted(Command::new(promtool).args(["check", "rules"]).args(&rules));
    for tests in files(&folder.join("tests"), "yml")? {
        tally += counted(Command::new(promtool).args(["test", "rules"]).arg(tests));
    }
    let settings = fs::read_to_string(folder.join("prometheus.yml"))?;
    let file = built(workspace)?.join("prometheus.yml");
    fs::write(&file, without_kubernetes(&settings))?;
    let mut check = Command::new(promtool);
    tally += counted(check.args(["check", "config", "--syntax-only"]).arg(file));
    Ok(tally)
}

/// Debian's Prometheus is built without knowing how to look for pods, and takes the question for a mistake.
fn without_kubernetes(settings: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut left_out = None;
    let mut kept = String::new();
    for line in settings.lines() {
        if left_out.is_some_and(|above| indent(line) <= above) {
            left_out = None;
        }
        if line.trim_start().starts_with("kubernetes_sd_configs:") {
            left_out = Some(indent(line));
        }
        if left_out.is_none() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The Python that has the validator, in a virtual environment of its own.
fn validator(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.tools().join(VALIDATOR);
    let python = folder.join("bin/python");
    let module = folder.join("complete");
    if !module.is_file() {
        eprintln!("xtask: installing {VALIDATOR} into {}", folder.display());
        // Debian's python3 has no venv without python3-venv.
        if shell::ask(Command::new("python3").args(["-c", "import ensurepip"])).is_none() {
            debian::ensure(&["python3-venv"], "validating manifests")?;
        }
        shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut install = Command::new(&python);
        shell::run(install.args(["-m", "pip", "install", "--quiet", VALIDATOR]))?;
        fs::write(module, "")?;
    }
    Ok(python)
}

/// An installed one, else Debian's, which is unpacked and not installed: the package starts a service.
fn promtool(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(installed) = shell::which("promtool") {
        return Ok(installed);
    }
    let folder = workspace.tools().join("prometheus");
    let unpacked = folder.join("usr/bin/promtool");
    if !shell::is_program(&unpacked) {
        debian::unpack(&["prometheus"], &folder)?;
    }
    Ok(unpacked)
}

/// One whose kustomize is of the major version that the manifests are written for.
fn kubectl() -> Option<PathBuf> {
    let kubectl = shell::which("kubectl")?;
    let version = shell::ask(Command::new(&kubectl).args(["version", "--client"]))?;
    version.contains("Kustomize Version: v5").then_some(kubectl)
}

fn built(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("deploy");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == extension));
    files.sort();
    Ok(files)
}

fn counted(command: &mut Command) -> Tally {
    match shell::run(command) {
        Ok(()) => Tally { passed: 1, ..Tally::default() },
        Err(error) => {
            eprintln!("xtask: {error:#}");
            Tally { failed: 1, ..Tally::default() }
        }
    }
}

fn skipped(why: &anyhow::Error) -> Tally {
    eprintln!("skipped: {why:#}");
    Tally { skipped: 1, ..Tally::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_for_pods_is_left_out() {
        let settings = "\
a:
  - job_name: x
    kubernetes_sd_configs:
      - role: pod
        namespaces:
          names: [y]
    relabel_configs: []
  - job_name: z
    kubernetes_sd_configs:
      - role: pod
";
        let expected = "a:\n  - job_name: x\n    relabel_configs: []\n  - job_name: z\n";
        assert_eq!(without_kubernetes(settings), expected);
    }
}
