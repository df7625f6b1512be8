//! Where requests come in.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use super::settings::Listen;
use crate::log::ids;

/// Why nobody can ask.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address is not to be had.
    #[error("cannot listen on {0}: {1}: set another telemetry.listen")]
    Address(SocketAddr, io::Error),
    /// The socket is not to be made.
    #[error("cannot listen on {}: {source}: set another telemetry.listen", path.display())]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody listens there.
    #[error("cannot listen on {}: another program does: end it, or set another telemetry.listen", .0.display())]
    InUse(PathBuf),
}

/// Somebody can be heard.
#[derive(Debug)]
pub(super) enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over a unix socket.
    Unix(UnixListener),
}

/// A socket's name in its folder; gone with this.
#[derive(Debug)]
pub(super) struct Name {
    path: PathBuf,
    inode: u64,
}

/// Begins to listen; `None` if that is off.
pub(super) async fn listen(to: &Listen) -> Result<Option<(Listener, Option<Name>)>, ListenError> {
    Ok(match to {
        Listen::Off => None,
        Listen::Address(address) => {
            let failed = |error| ListenError::Address(*address, error);
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            tracing::info!(id = ids::TELEMETRY_ON.code, "telemetry: http://{address}");
            Some((Listener::Tcp(listener), None))
        }
        Listen::Unix(path) => {
            let (listener, name) = by_name(path)?;
            let path = path.display();
            tracing::info!(id = ids::TELEMETRY_ON.code, "telemetry: unix:{path}");
            Some((Listener::Unix(listener), Some(name)))
        }
    })
}

/// A socket appears under its name whole: with its rights, and in place of one that nobody listens to.
fn by_name(path: &Path) -> Result<(UnixListener, Name), ListenError> {
    let failed = |source| ListenError::Socket { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    if let Ok(there) = fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(failed(io::Error::other("something else is there that is no socket")));
        }
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if UnixStream::connect(path).map_or_else(|error| !refused(&error), |_| true) {
            return Err(ListenError::InUse(path.to_owned()));
        }
    }
    let mut making = path.as_os_str().to_owned();
    making.push(format!(".{}", std::process::id()));
    let making = PathBuf::from(making);
    // One of a process that had our number is in nobody's way.
    let _ = fs::remove_file(&making);
    let listener = UnixListener::bind(&making).map_err(failed)?;
    let made = fs::set_permissions(&making, Permissions::from_mode(0o660))
        .and_then(|()| fs::metadata(&making))
        .and_then(|made| fs::rename(&making, path).map(|()| made.ino()));
    match made {
        Ok(inode) => Ok((listener, Name { path: path.to_owned(), inode })),
        Err(error) => {
            let _ = fs::remove_file(&making);
            Err(failed(error))
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // It may be another's by now.
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            // A stale one is replaced by the next.
            let _ = fs::remove_file(&self.path);
        }
    }
}
