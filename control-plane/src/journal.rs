//! Orders on this replica's own disk: what it has said yes to outlives it, whatever becomes of etcd.
//!
//! ```text
//! <state>/orders/<epoch, 20 digits>-<first 16 hexadecimal digits of the signature>    a `SignedOrder`, serialized
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use prost::Message as _;
use wanglou_api::order::v1::SignedOrder;

/// Bytes of a file of ours, at most.
const MOST: u64 = 1 << 20;

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Journal(PathBuf);

impl Journal {
    /// Makes it, where there is none.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let folder = state.join("orders");
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// All that was kept and can be read, in the order of epochs; and those that cannot.
    pub(crate) fn read(&self) -> io::Result<(Vec<SignedOrder>, Vec<PathBuf>)> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            paths.push(entry?.path());
        }
        paths.sort();
        let (mut orders, mut damaged) = (Vec::new(), Vec::new());
        for path in paths {
            match read(&path) {
                // A file that was being written when there was no power.
                _ if path.extension().is_some_and(|it| it == "new") => {}
                Ok(order) => orders.push(order),
                Err(_) => damaged.push(path),
            }
        }
        Ok((orders, damaged))
    }

    /// Keeps one: it is on the disk when this returns.
    pub(crate) fn keep(&self, epoch: u64, order: &SignedOrder) -> io::Result<()> {
        let path = self.path(epoch, order);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&order.encode_to_vec())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Lets go of one that means nothing any more.
    pub(crate) fn forget(&self, epoch: u64, order: &SignedOrder) -> io::Result<()> {
        fs::remove_file(self.path(epoch, order))
    }

    fn path(&self, epoch: u64, order: &SignedOrder) -> PathBuf {
        let signature: String =
            order.signature.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.0.join(format!("{epoch:020}-{signature}"))
    }
}

fn read(path: &Path) -> io::Result<SignedOrder> {
    if fs::metadata(path)?.len() > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    SignedOrder::decode(&*fs::read(path)?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: u8) -> SignedOrder {
        SignedOrder { order: vec![n], signature: vec![n; 64], key_id: "a".to_owned() }
    }

    #[test]
    fn what_was_kept_is_there_again() {
        let state = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(state.path()).expect("a journal");
        for n in [2, 10, 1] {
            journal.keep(u64::from(n), &order(n)).expect("it is kept");
        }
        let folder = state.path().join("orders");
        fs::write(folder.join("00000000000000000003-00"), [0xff; 3]).expect("a damaged one");
        fs::write(folder.join("00000000000000000004-00.new"), [0xff; 3]).expect("a half one");
        let (orders, damaged) =
            Journal::open(state.path()).expect("again").read().expect("it reads");
        assert_eq!(orders, [order(1), order(2), order(10)]);
        assert_eq!(damaged, [folder.join("00000000000000000003-00")]);
        journal.forget(2, &order(2)).expect("it goes");
        assert_eq!(journal.read().expect("it reads").0, [order(1), order(10)]);
    }
}
