//! `dist`: what is given to others, in `target/dist`: for each program an OCI image with nothing in it but that, a Debian
//! package, and a list of what was compiled into it.
//!
//! ```text
//! programs  what there is to give, and where its files go     image   oci-layout as one tar
//! sbom      CycloneDX, from what cargo has resolved            deb     by dpkg-deb       trial   whether all that works
//! for_tests the same, of what tests have built
//! ```
//!
//! The same tree gives the same bytes: times are those of the last commit, names of folders are cut from what is compiled.

mod deb;
pub(crate) mod for_tests;
mod image;
mod programs;
mod sbom;
pub(crate) mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;
use deb::Packing;
use programs::Program;

use crate::cross::{self, host};
use crate::workspace::Workspace;
use crate::{build, build_ebpf, fleet, shell};

/// Arguments of `dist`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this program: wanglou-sensor, wanglou-control-plane or wanglou
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// For which machines, as rustc calls them: x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu
    #[arg(long, value_name = "TRIPLE", default_value_t = host().to_owned())]
    target: String,
    /// Try what is made, as `test --nightly` does: the same bytes from another folder, a package that is installed,
    /// upgraded and removed, and everything for machines of another kind
    #[arg(long = "try", conflicts_with_all = ["only", "target"])]
    tries: bool,
}

/// What all of them need to know.
struct Release {
    version: String,
    /// Of the last commit, s since 1970.
    time: u64,
    /// As rustc, as Debian and as OCI call the machines.
    triple: String,
    machine: Machine,
    folder: PathBuf,
}

/// A kind of machine, as others call it.
#[derive(Clone, Copy)]
struct Machine {
    debian: &'static str,
    oci: &'static str,
}

impl Machine {
    fn of(triple: &str) -> Result<Self> {
        match triple.split('-').next() {
            Some("x86_64") => Ok(Self { debian: "amd64", oci: "amd64" }),
            Some("aarch64") => Ok(Self { debian: "arm64", oci: "arm64" }),
            _ => anyhow::bail!(
                "nothing is made for {triple}: x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu"
            ),
        }
    }
}

/// Builds everything, packs it, and says what there is.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    if args.tries {
        let tally = trial::run(workspace)?;
        println!("{tally}");
        return Ok(tally.exit_code());
    }
    make(workspace, args.only.as_deref(), &args.target)?;
    Ok(ExitCode::SUCCESS)
}

fn make(workspace: &Workspace, only: Option<&str>, triple: &str) -> Result<()> {
    let release = Release::of(workspace, triple)?;
    let programs = programs::chosen(only)?;
    cross::ensure(triple)?;
    build_ebpf::run(workspace)?;
    build::have_make()?;
    fleet::have_protoc()?;
    fs::create_dir_all(&release.folder)?;
    for program in programs {
        let binary = compile(workspace, program, &release)?;
        for made in pack(workspace, program, &binary, &release)? {
            println!("{}", made.display());
        }
    }
    Ok(())
}

/// All that is made of one.
fn pack(
    workspace: &Workspace,
    program: &Program,
    binary: &Path,
    release: &Release,
) -> Result<Vec<PathBuf>> {
    let bill = sbom::of(workspace, program, release)?;
    let path = |ending: &str| {
        let (name, version, arch) = (program.name, &release.version, release.machine.oci);
        release.folder.join(format!("{name}-{version}-{arch}.{ending}"))
    };
    let (sbom, image) = (path("cdx.json"), path("oci.tar"));
    fs::write(&sbom, &bill)?;
    fs::write(&image, image::of(program, &fs::read(binary)?, &bill, release)?)?;
    Ok(vec![image, sbom, deb::of(workspace, program, binary, release, Packing::Tight)?])
}

impl Release {
    fn of(workspace: &Workspace, triple: &str) -> Result<Self> {
        let mut git = Command::new("git");
        git.current_dir(&workspace.root).args(["log", "-1", "--format=%ct"]);
        // Of a tree that is in no repository, nobody asks when it was.
        let time = shell::ask(&mut git).and_then(|time| time.parse().ok()).unwrap_or(0);
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time,
            triple: triple.to_owned(),
            machine: Machine::of(triple)?,
            folder: workspace.target.join("dist"),
        })
    }
}

/// A static binary without a trace of where it was compiled.
fn compile(workspace: &Workspace, program: &Program, release: &Release) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let flags = [remap(&workspace.root, "wanglou"), remap(&home, "cargo")].join(" ");
    // They reach what is compiled for the target only: derive macros stay as they are.
    cargo.env(cross::variable(&release.triple, "RUSTFLAGS"), flags);
    cross::link(&mut cargo, &release.triple);
    cargo.args(["rustc", "--release", "--target", &release.triple]);
    cargo.args(["--package", program.package, "--bin", program.name]);
    shell::run(cargo.args(["--", "-C", "target-feature=+crt-static"]))?;
    Ok(workspace.target.join(&release.triple).join("release").join(program.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_the_names_that_others_give_them() {
        let of = |triple: &str| Machine::of(triple).map(|machine| (machine.debian, machine.oci));
        assert_eq!(of("x86_64-unknown-linux-gnu").ok(), Some(("amd64", "amd64")));
        assert_eq!(of("aarch64-unknown-linux-gnu").ok(), Some(("arm64", "arm64")));
        assert!(of("riscv64gc-unknown-linux-gnu").is_err());
    }
}
