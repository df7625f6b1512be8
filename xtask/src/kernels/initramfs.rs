//! The guest's whole file system: a cpio archive in the `newc` format, which is 110 bytes of
//! hexadecimal numbers, a name and the contents for each file.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::test::TESTKIT_BINARIES;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// Folders that init mounts on, and those that programs expect.
const FOLDERS: [&str; 9] = ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "var", "var/lib"];

/// Packs init, the sensor and the testkit's programs, which are all in one folder.
pub(super) fn write(programs: &Path, to: &Path) -> Result<()> {
    let mut archive = Archive::default();
    for folder in FOLDERS {
        archive.add(folder, DIRECTORY, (0, 0), &[]);
    }
    // Init's standard streams, before it has mounted /dev.
    archive.add("dev/console", CHARACTER_DEVICE, (5, 1), &[]);
    archive.add("etc/machine-id", FILE, (0, 0), b"77616e676c6f755f67756573745f6964\n");
    archive.add("etc/passwd", FILE, (0, 0), b"root:x:0:0::/:/bin/false\n");

    archive.add("init", PROGRAM, (0, 0), &read(&programs.join("wanglou-guest"))?);
    for name in TESTKIT_BINARIES.into_iter().chain(["wanglou-sensor"]) {
        archive.add(&format!("bin/{name}"), PROGRAM, (0, 0), &read(&programs.join(name))?);
    }
    fs::write(to, archive.finish()).with_context(|| format!("cannot write {}", to.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(contents.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let (owner, group, links, time, checksum) = (0, 0, 1, 0, 0);
        let fields = [
            self.entries,
            mode,
            owner,
            group,
            links,
            time,
            size, // The device it lies on:
            0,
            0,
            device.0,
            device.1,
            name_size,
            checksum,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    /// Names and contents end on a multiple of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Archive, FILE};

    #[test]
    fn an_entry_is_aligned_and_the_trailer_closes_the_archive() {
        let mut archive = Archive::default();
        archive.add("abc", FILE, (0, 0), b"hello");
        // Header 110 + "abc\0" 4, padded to 116; contents 5, padded to 8.
        assert_eq!(archive.bytes.len(), 116 + 8);
        assert_eq!(&archive.bytes[..14], b"07070100000001");
        assert_eq!(&archive.bytes[116..121], b"hello");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.windows(10).any(|part| part == b"TRAILER!!!"));
    }
}
