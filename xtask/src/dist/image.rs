//! An image as an OCI layout (image-spec 1.1) in one tar, as `ctr image import`, `podman load` and `skopeo` take it: one
//! layer with one file, and the list of what that was made of as a manifest that refers to the image.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::Release;
use super::programs::Program;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const BILL: &str = "application/vnd.cyclonedx+json";

/// The tar.
pub(super) fn of(
    program: &Program,
    binary: &[u8],
    bill: &[u8],
    release: &Release,
) -> Result<Vec<u8>> {
    let mut blobs = Blobs::default();
    let path = format!("usr/bin/{}", program.name);
    let mut layer = Tar::new(release.time);
    layer.folder("usr")?;
    layer.folder("usr/bin")?;
    layer.file(&path, 0o755, binary)?;
    let layer = layer.end()?;
    let diff = digest(&layer);
    let layer = blobs.put(LAYER, gzip(&layer)?);

    let created = time(release.time);
    let config = blobs.put_json(
        CONFIG,
        &json!({
            "created": created,
            "architecture": release.machine.oci,
            "os": "linux",
            "config": {
                "Entrypoint": [format!("/{path}")],
                "Cmd": program.command,
                "Env": ["PATH=/usr/bin"],
                "WorkingDir": "/",
                "Labels": {
                    "org.opencontainers.image.title": program.name,
                    "org.opencontainers.image.description": program.about,
                    "org.opencontainers.image.version": release.version,
                    "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
                },
            },
            "rootfs": { "type": "layers", "diff_ids": [diff] },
            "history": [{ "created": created, "created_by": "cargo xtask dist" }],
        }),
    )?;
    let mut image = blobs.put_json(
        MANIFEST,
        &json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] }),
    )?;
    let nothing = blobs.put(EMPTY, b"{}".to_vec());
    let bill = blobs.put(BILL, bill.to_vec());
    let refers = blobs.put_json(
        MANIFEST,
        &json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BILL,
            "config": nothing,
            "layers": [bill],
            "subject": image,
        }),
    )?;
    let name = format!("{}:{}", program.image, release.version);
    image["platform"] = json!({ "architecture": release.machine.oci, "os": "linux" });
    image["annotations"] = json!({
        "org.opencontainers.image.ref.name": release.version,
        "io.containerd.image.name": format!("docker.io/{name}"),
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [image, refers],
    });

    let mut tar = Tar::new(release.time);
    tar.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    tar.file("index.json", 0o644, &serde_json::to_vec(&index)?)?;
    tar.folder("blobs")?;
    tar.folder("blobs/sha256")?;
    for (digest, bytes) in blobs.0 {
        tar.file(&format!("blobs/sha256/{digest}"), 0o644, &bytes)?;
    }
    tar.end()
}

/// What manifests point to, by digest.
#[derive(Default)]
struct Blobs(std::collections::BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Its descriptor.
    fn put(&mut self, kind: &str, bytes: Vec<u8>) -> Value {
        let digest = digest(&bytes);
        let descriptor = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        self.0.insert(digest.trim_start_matches("sha256:").to_owned(), bytes);
        descriptor
    }

    fn put_json(&mut self, kind: &str, value: &Value) -> Result<Value> {
        Ok(self.put(kind, serde_json::to_vec(value)?))
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Into a string nothing fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

/// RFC 3339.
fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// A tar in which nothing is left to chance.
struct Tar {
    builder: Builder<Vec<u8>>,
    time: u64,
}

impl Tar {
    fn new(time: u64) -> Self {
        Self { builder: Builder::new(Vec::new()), time }
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        self.entry(&format!("{path}/"), EntryType::Directory, 0o755, &[])
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.entry(path, EntryType::Regular, mode, bytes)
    }

    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, bytes: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.time);
        header.set_size(bytes.len() as u64);
        Ok(self.builder.append_data(&mut header, path, bytes)?)
    }

    fn end(self) -> Result<Vec<u8>> {
        Ok(self.builder.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::super::{Machine, programs};
    use super::*;

    fn release() -> Release {
        Release {
            version: "1.2.3".to_owned(),
            time: 1_790_000_000,
            triple: "x86_64-unknown-linux-gnu".to_owned(),
            machine: Machine { debian: "amd64", oci: "amd64" },
            folder: "dist".into(),
        }
    }

    fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(tar).entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("bytes");
            files.insert(path, bytes);
        }
        files
    }

    #[test]
    fn an_image_has_one_file_and_everything_that_it_points_to() {
        let program = &programs::chosen(Some("wanglou-sensor")).expect("it is there")[0];
        let image = of(program, b"binary", b"{\"bill\":1}", &release()).expect("an image");
        assert_eq!(image, of(program, b"binary", b"{\"bill\":1}", &release()).expect("another"));

        let files = files(&image);
        let blob = |descriptor: &Value| -> Vec<u8> {
            let text = descriptor["digest"].as_str().expect("a digest");
            let bytes = &files[&format!("blobs/sha256/{}", &text["sha256:".len()..])];
            assert_eq!(digest(bytes), text);
            assert_eq!(descriptor["size"], bytes.len());
            bytes.clone()
        };
        let read = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).expect("JSON") };
        let index = read(&files["index.json"]);
        let [main, refers] = &index["manifests"].as_array().expect("manifests")[..] else {
            panic!("{index}")
        };
        let manifest = read(&blob(main));
        let config = read(&blob(&manifest["config"]));
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/wanglou-sensor");
        assert_eq!(config["created"], "2026-09-21T14:13:20Z");
        let mut layer = Vec::new();
        let packed = blob(&manifest["layers"][0]);
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut layer).expect("a layer");
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        let layer = self::files(&layer);
        let names: Vec<_> = layer.keys().map(String::as_str).collect();
        assert_eq!(names, ["usr/", "usr/bin/", "usr/bin/wanglou-sensor"]);
        assert_eq!(layer["usr/bin/wanglou-sensor"], b"binary");

        let refers = read(&blob(refers));
        assert_eq!(refers["subject"]["digest"], main["digest"]);
        assert_eq!(blob(&refers["layers"][0]), b"{\"bill\":1}");
    }
}
