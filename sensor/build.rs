//! Finds the compiled probes: they are built for another target, by `cargo xtask build-ebpf`.

use std::env;
use std::path::{Path, PathBuf};

const OBJECT: &str = "WANGLOU_EBPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={OBJECT}");
    let object = env::var_os(OBJECT).map_or_else(in_target, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    if object.is_file() {
        println!("cargo::rustc-env={OBJECT}={}", object.display());
    } else {
        println!(
            "cargo::error=the probes are not built ({} is missing): run `cargo xtask build-ebpf`",
            object.display()
        );
    }
}

/// `target/ebpf/wanglou.o`, wherever `target` is.
fn in_target() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // OUT_DIR is TARGET/[TRIPLE/]PROFILE/build/CRATE/out.
    let folders = out.ancestors().skip(3);
    let mut candidates = folders.take(3).map(|folder| folder.join("ebpf/wanglou.o"));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ebpf/wanglou.o");
    candidates.find(|object| object.is_file()).unwrap_or(workspace)
}
