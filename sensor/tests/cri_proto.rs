//! The checked-in Rust is what `proto/runtime/v1/api.proto` gives.

use std::fs;
use std::path::Path;

#[test]
fn the_client_follows_from_the_proto_file() {
    let made = tempfile::tempdir().expect("a temporary folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = protox::compile(["runtime/v1/api.proto"], [root.join("proto")]);
    tonic_prost_build::configure()
        .out_dir(made.path())
        .emit_rerun_if_changed(false)
        .build_server(false)
        .build_transport(false)
        .btree_map(".")
        .compile_fds(set.expect("api.proto compiles"))
        .expect("code can be made of it");
    let now = fs::read(made.path().join("runtime.v1.rs")).expect("a file that was just made");
    let kept = root.join("src/container/generated/runtime.v1.rs");
    if std::env::var_os("WANGLOU_UPDATE").is_some() {
        fs::write(&kept, &now).expect("the source tree can be written");
    }
    let was = fs::read(&kept).unwrap_or_default();
    assert!(was == now, "run `WANGLOU_UPDATE=1 cargo test -p wanglou-sensor --test cri_proto`");
}
