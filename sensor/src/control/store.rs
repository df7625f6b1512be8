//! What has to outlive the service: two files in its folder, each replaced as a whole.
//!
//! | file | what |
//! | --- | --- |
//! | `order` | the order that was obeyed last: a `SignedOrder` |
//! | `welcome` | what the fleet said last: a `Welcome`, for its labels, endpoints and times |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use prost::Message;
use tokio::sync::oneshot;

/// Bytes of a file, at most: an order of 256 KiB has room.
const MAX_BYTES: u64 = 512 << 10;

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Order,
    Welcome,
}

impl Kept {
    /// Where it lies.
    pub(super) fn path(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Self::Order => "order",
            Self::Welcome => "welcome",
        })
    }

    /// What is in it; `None` if there is none.
    pub(super) fn read<M: Message + Default>(self, folder: &Path) -> io::Result<Option<M>> {
        let file = match File::open(self.path(folder)) {
            Err(error) if nothing_is_there(&error) => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.is_empty() || bytes.len() as u64 > MAX_BYTES {
            return Err(io::Error::other(format!("{} bytes make no sense", bytes.len())));
        }
        Ok(Some(M::decode(&*bytes)?))
    }

    /// Replaces it: once this has returned, it survives whatever happens to the host.
    pub(super) fn write(self, folder: &Path, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = self.path(folder);
        let new = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    }

    /// The same by a thread of its own, as a disk may take its time, or for ever: nobody waits for that thread, not
    /// even the end of the service. There is one at a time, so that the last that was written is the last that was
    /// wanted.
    pub(super) fn write_aside(
        self,
        folder: &Path,
        bytes: Vec<u8>,
    ) -> oneshot::Receiver<io::Result<()>> {
        static BUSY: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
        let (done, waits) = oneshot::channel();
        let busy = &BUSY[self as usize];
        if busy.swap(true, Ordering::Relaxed) {
            let _ = done.send(Err(io::Error::other("the disk has not taken the one before")));
            return waits;
        }
        let folder = folder.to_owned();
        let thread = thread::Builder::new().name("wanglou-store".to_owned()).spawn(move || {
            let written = self.write(&folder, &bytes);
            busy.store(false, Ordering::Relaxed);
            // Whoever has waited for too long does not want to know any more.
            let _ = done.send(written);
        });
        if thread.is_err() {
            // The other end hears that nothing will come.
            busy.store(false, Ordering::Relaxed);
        }
        waits
    }
}

/// Nor can there be.
fn nothing_is_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use wanglou_api::order::v1::SignedOrder;

    use super::*;

    /// A folder that is not there yet.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("wanglou-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn what_is_written_is_read_and_replaced_as_a_whole() {
        let folder = folder("store");
        let order = |n: usize| SignedOrder { order: vec![7; n], ..SignedOrder::default() };
        let read = || Kept::Order.read::<SignedOrder>(&folder);
        assert_eq!(read().expect("no file"), None);
        for n in [300_000, 3] {
            Kept::Order.write(&folder, &order(n).encode_to_vec()).expect("a disk");
            assert_eq!(read().expect("a file"), Some(order(n)));
        }
        fs::write(folder.join("order.new"), "half").expect("a disk");
        assert_eq!(read().expect("a file"), Some(order(3)), "half a file does not count");
        assert_eq!(Kept::Welcome.read::<SignedOrder>(&folder).expect("no file"), None);
        fs::remove_dir_all(&folder).expect("ours");
    }

    #[test]
    fn what_is_damaged_is_not_taken_for_nothing() {
        let folder = folder("damaged");
        fs::create_dir(&folder).expect("a disk");
        for bytes in [&b""[..], b"\xff\xff", &[0; 600 << 10]] {
            fs::write(folder.join("order"), bytes).expect("a disk");
            assert!(Kept::Order.read::<SignedOrder>(&folder).is_err());
        }
        fs::remove_dir_all(&folder).expect("ours");
    }

    #[test]
    fn a_disk_that_takes_nothing_says_so() {
        let file = folder("no-folder");
        fs::write(&file, "").expect("a disk");
        assert!(Kept::Order.write(&file, b"x").is_err());
        assert_eq!(Kept::Order.read::<SignedOrder>(&file).expect("nothing"), None);
        fs::remove_file(&file).expect("ours");
    }
}
