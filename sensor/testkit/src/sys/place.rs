//! Namespaces, mounts and files without a name.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
};

use super::checked;

/// Leaves the given namespaces (`libc::CLONE_NEW…`) for new ones.
pub fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: takes a number.
    checked(unsafe { libc::unshare(flags) }).map(drop)
}

/// Keeps the mounts of this namespace from showing in others.
pub fn mount_private() -> io::Result<()> {
    mount("none", Path::new("/"), None, libc::MS_REC | libc::MS_PRIVATE)
}

/// Mounts an empty tmpfs.
pub fn mount_tmpfs(target: &Path) -> io::Result<()> {
    mount("tmpfs", target, Some("tmpfs"), 0)
}

/// Mounts what the kernel shows of its devices.
pub fn mount_sysfs(target: &Path) -> io::Result<()> {
    mount("sysfs", target, Some("sysfs"), 0)
}

/// Makes a folder show at a second place.
pub fn mount_bind(source: &Path, target: &Path) -> io::Result<()> {
    mount(source, target, None, libc::MS_BIND)
}

fn mount(
    source: impl AsRef<Path>,
    target: &Path,
    kind: Option<&str>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let source = CString::new(source.as_ref().as_os_str().as_bytes())?;
    let target = CString::new(target.as_os_str().as_bytes())?;
    let kind = kind.map(CString::new).transpose()?;
    let kind = kind.as_ref().map_or(ptr::null(), |kind| kind.as_ptr());
    // SAFETY: live strings; the type may be NULL for these flags, and the data too.
    let returned =
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, ptr::null()) };
    checked(returned).map(drop)
}

/// A file that is only memory.
pub fn memfd(name: &str) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: a live string and a number.
    let fd = checked(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the call has just opened it, and nobody else knows it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}
