//! Asks the kernel which BPF programs exist.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use super::checked_long;

const PROG_GET_NEXT_ID: u32 = 11;
const PROG_GET_FD_BY_ID: u32 = 13;
const OBJ_GET_INFO_BY_FD: u32 = 15;

/// The arms of `union bpf_attr` that the three commands use, as far as they go.
#[repr(C)]
#[derive(Default)]
struct IdAttributes {
    id: u32,
    next_id: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct InfoAttributes {
    fd: u32,
    length: u32,
    info: u64,
}

/// The head of `struct bpf_prog_info`, up to the user that loaded the program.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind_id_tag: [u32; 4],
    lengths: [u32; 2],
    instructions: [u64; 2],
    load_time: u64,
    created_by_uid: u32,
    rest: u32,
}

/// Whether the kernel still has a program of this id. Ids are not used again soon.
pub fn program_exists(id: u32) -> io::Result<bool> {
    match open(id) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many programs a user has loaded that are still there.
pub fn programs_created_by(uid: u32) -> io::Result<usize> {
    let (mut id, mut count) = (0, 0);
    loop {
        let mut attributes = IdAttributes { id, ..IdAttributes::default() };
        match bpf(PROG_GET_NEXT_ID, &mut attributes) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(count),
            other => other?,
        };
        id = attributes.next_id;
        // It may go between the question for the id and the one for the program.
        let Ok(program) = open(id) else { continue };
        count += usize::from(creator(&program)? == uid);
    }
}

fn open(id: u32) -> io::Result<OwnedFd> {
    let fd = bpf(PROG_GET_FD_BY_ID, &mut IdAttributes { id, ..IdAttributes::default() })?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn creator(program: &OwnedFd) -> io::Result<u32> {
    let mut info = ProgramInfo::default();
    let mut attributes = InfoAttributes {
        fd: program.as_raw_fd().unsigned_abs(),
        length: size_of::<ProgramInfo>() as u32,
        info: (&raw mut info).expose_provenance() as u64,
    };
    bpf(OBJ_GET_INFO_BY_FD, &mut attributes)?;
    Ok(info.created_by_uid)
}

fn bpf<T>(command: u32, attributes: &mut T) -> io::Result<i32> {
    let size = size_of::<T>();
    // SAFETY: the struct is the head of the union's arm for this command, live, and its size is
    // told; what it points to is live and as long as it says.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size) };
    Ok(checked_long(returned)? as i32)
}
