//! Finds, or installs, a compiler and a linker that make BPF programs out of Rust.
//!
//! Two kinds serve: a rustup nightly with `rust-src`, which compiles `core` itself, and Debian's
//! own rustc, for which there is a package with `core` compiled for BPF.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;
use crate::{debian, shell};

/// What the probes are compiled for.
pub(crate) const TARGET: &str = "bpfel-unknown-none";
/// The line of bpf-linker releases that the probes are tested with.
const LINKER_VERSION: &str = "~0.13";

/// A compiler with a `core` for BPF, and a linker to go with it.
pub(crate) struct Toolchain {
    kind: Kind,
    linker: PathBuf,
}

enum Kind {
    /// rustup's nightly with the sources of `core`.
    Nightly,
    /// /usr/bin/rustc with a compiled `core`.
    Debian,
}

impl Toolchain {
    /// Takes the first that is complete; completes Debian's where neither is.
    pub(crate) fn find_or_install(workspace: &Workspace) -> Result<Self> {
        let linkers = [shell::which("bpf-linker"), Some(workspace.tools().join("bin/bpf-linker"))];
        let mut linkers = linkers.into_iter().flatten().filter(|file| shell::is_program(file));
        if let Some(linker) = linkers.next() {
            if nightly_has_sources() {
                return Ok(Self { kind: Kind::Nightly, linker });
            }
            if debian_has_core() {
                return Ok(Self { kind: Kind::Debian, linker });
            }
        }
        install_debian_compiler()?;
        let linker = build_linker(workspace)?;
        Ok(Self { kind: Kind::Debian, linker })
    }

    /// A cargo that compiles for BPF; `args` of the caller come after.
    pub(crate) fn cargo_build(&self) -> Command {
        let mut cargo = match self.kind {
            Kind::Nightly => {
                let mut cargo = clean("rustup");
                cargo.args(["run", "nightly", "cargo", "build", "-Zbuild-std=core"]);
                cargo
            }
            Kind::Debian => {
                let mut cargo = clean("/usr/bin/cargo");
                cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1").arg("build");
                cargo
            }
        };
        let linker = format!("linker={}", self.linker.display());
        let flags = ["-C", "debuginfo=2", "-C", &linker, "-C", "link-arg=--btf"];
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        cargo.args(["--release", "--target", TARGET]);
        cargo
    }
}

fn nightly_has_sources() -> bool {
    shell::ask(clean("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]))
        .is_some_and(|root| Path::new(&root).join("lib/rustlib/src/rust/library/core").is_dir())
}

fn debian_has_core() -> bool {
    shell::is_program(Path::new("/usr/bin/cargo"))
        && shell::ask(clean("/usr/bin/rustc").args([
            "--print",
            "target-libdir",
            "--target",
            TARGET,
        ]))
        .and_then(|folder| Path::new(&folder).read_dir().ok())
        .is_some_and(|files| {
            files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
        })
}

fn install_debian_compiler() -> Result<()> {
    if debian_has_core() {
        return Ok(());
    }
    debian::have_lists()?;
    // Debian 12 has the newer compiler beside its old one, under another name.
    let families = [
        ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
        ["rustc", "cargo", "libstd-rust-dev-bpf"],
    ];
    let Some(packages) = families.iter().find(|names| names.iter().all(|name| debian::knows(name)))
    else {
        bail!(
            "no BPF toolchain: run `rustup toolchain install nightly --component rust-src` and \
             `cargo install bpf-linker`"
        );
    };
    debian::ensure(packages, "compiling the probes")?;
    if !debian_has_core() {
        bail!("{} are installed, yet /usr/bin/rustc has no core for {TARGET}", packages.join(", "));
    }
    Ok(())
}

/// Builds bpf-linker against the LLVM that Debian's rustc was built with.
fn build_linker(workspace: &Workspace) -> Result<PathBuf> {
    let linker = workspace.tools().join("bin/bpf-linker");
    if shell::is_program(&linker) {
        return Ok(linker);
    }
    let llvm = llvm_major()?;
    let dev = format!("llvm-{llvm}-dev");
    debian::ensure(&[&dev, "g++", "zlib1g-dev", "libzstd-dev"], "building bpf-linker")?;
    eprintln!("xtask: building bpf-linker {LINKER_VERSION} with LLVM {llvm} (about a minute)");
    let mut install = clean("/usr/bin/cargo");
    install
        .env("RUSTC", "/usr/bin/rustc")
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))
        .env("CARGO_TARGET_DIR", workspace.target.join("tools-build"))
        // Outside the tree, whose `.cargo/config.toml` would ask for a static one: LLVM is not.
        .current_dir("/")
        .args(["install", "bpf-linker", "--locked", "--no-default-features", "--version"])
        .arg(LINKER_VERSION)
        .args(["--features", &format!("llvm-{llvm}"), "--root"])
        .arg(workspace.tools());
    shell::run(&mut install)?;
    Ok(linker)
}

fn llvm_major() -> Result<u32> {
    let answer = shell::read(clean("/usr/bin/rustc").arg("-vV"))?;
    answer
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next()?.parse().ok())
        .context("/usr/bin/rustc -vV does not tell its LLVM version")
}

/// A command without what rustup's proxies, an outer cargo or the user's flags for host programs
/// leave in the environment: each of them would choose another compiler or break this target.
fn clean(program: &str) -> Command {
    let kept = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_TERM_"];
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let foreign = text == "RUSTC"
            || text == "RUSTFLAGS"
            || text == "RUSTUP_TOOLCHAIN"
            || text == "RUST_RECURSION_COUNT"
            || text.starts_with("RUSTC_")
            || text.starts_with("CARGO");
        if foreign && !kept.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}
