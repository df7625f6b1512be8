//! The proto files of the services.

use std::path::Path;

use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// Those that have services, by whom they are for; the others they import.
const FILES: [&str; 5] = [
    "wanglou/sensor/v1/sensor.proto",
    "wanglou/sensor/v1/telemetry.proto",
    "wanglou/fleet/v1/fleet.proto",
    "wanglou/fleet/v1/events.proto",
    "wanglou/peer/v1/peer.proto",
];

/// All of them, with their comments and all that they import.
pub(crate) fn all() -> FileDescriptorSet {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut compiler = protox::Compiler::new([root]).expect("a folder of proto files");
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(FILES).expect("the proto files compile");
    compiler.file_descriptor_set()
}

/// Our own.
pub(crate) fn ours(set: &FileDescriptorSet) -> impl Iterator<Item = &FileDescriptorProto> {
    set.file.iter().filter(|file| file.package().starts_with("wanglou."))
}

/// The comment before what a path leads to (`SourceCodeInfo.Location`, descriptor.proto).
pub(crate) fn comment<'a>(file: &'a FileDescriptorProto, path: &[i32]) -> &'a str {
    let info = file.source_code_info.as_ref().expect("source info was asked for");
    let found = info.location.iter().find(|location| location.path == path);
    found.map_or("", |location| location.leading_comments())
}
