//! The checked-in Rust is what the proto file gives.

use std::fs;

use crate::generate;
use crate::schema::Schema;

#[test]
fn views_follow_from_the_proto_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/generated/event.rs");
    let now = generate::views(&Schema::load());
    if std::env::var_os("WANGLOU_UPDATE").is_some() {
        fs::write(path, &now).expect("the source tree can be written");
    }
    let was = fs::read_to_string(path).expect("src/generated/event.rs is checked in");
    assert!(was == now, "run `WANGLOU_UPDATE=1 cargo test -p wanglou-api` and commit");
}
