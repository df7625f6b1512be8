//! The checked-in Rust is what the proto files give.

use std::fs;
use std::path::Path;

use prost::Message as _;

use crate::descriptors;

#[test]
fn services_follow_from_the_proto_files() {
    let made = tempfile::tempdir().expect("a temporary folder");
    generate(made.path());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let update = std::env::var_os("WANGLOU_UPDATE").is_some();
    let mut names = Vec::new();
    for entry in fs::read_dir(made.path()).expect("the folder can be read") {
        let name = entry.expect("an entry").file_name();
        let now = fs::read(made.path().join(&name)).expect("a file that was just made");
        if update {
            fs::write(kept.join(&name), &now).expect("the source tree can be written");
        }
        let was = fs::read(kept.join(&name)).unwrap_or_default();
        assert!(
            was == now,
            "{name:?}: run `WANGLOU_UPDATE=1 cargo test -p wanglou-api` and commit"
        );
        names.push(name);
    }
    assert_eq!(names.len(), 6, "{names:?}");
}

fn generate(into: &Path) {
    let set = descriptors::all();
    let server = "#[cfg(feature = \"server\")]";
    tonic_prost_build::configure()
        .out_dir(into)
        .emit_rerun_if_changed(false)
        .codec_path("crate::codec::Codec")
        .server_mod_attribute(".", server)
        .btree_map(".")
        .compile_fds(set.clone())
        .expect("code can be made of it");
    let mut bare = set;
    // Reflection needs no comments.
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    fs::write(into.join("services.bin"), bare.encode_to_vec()).expect("a temporary file");
}
