//! A copy of the kernel's BTF in which only a few types say anything.
//!
//! aya wants BTF to find the id of what a program is attached to, and makes an object of each of
//! the 150,000 types. In the copy every id is still right, the other types are empty, and there is
//! nothing behind the last id that is wanted.

use super::btf::{Btf, Kind};

const HEADER_BYTES: u32 = 24;

/// Keeps the types with these ids.
pub(super) fn reduce(btf: &Btf<'_>, keep: &[u32]) -> Vec<u8> {
    let mut types = Vec::new();
    // Offset 0 is the empty name.
    let mut strings = vec![0];
    for id in 1..=keep.iter().copied().max().unwrap_or(0).min(btf.len()) {
        match btf.ty(id).filter(|_| keep.contains(&id)) {
            Some(ty) => {
                types.extend((strings.len() as u32).to_ne_bytes());
                types.extend(&ty.bytes[4..]);
                strings.extend(ty.name);
                strings.push(0);
            }
            None => {
                for word in [0, (Kind::Forward as u32) << 24, 0] {
                    types.extend(word.to_ne_bytes());
                }
            }
        }
    }
    let (types_len, strings_len) = (types.len() as u32, strings.len() as u32);
    let mut copy = Vec::with_capacity(HEADER_BYTES as usize + types.len() + strings.len());
    copy.extend(0xeb9f_u16.to_ne_bytes());
    copy.extend([1, 0]);
    for word in [HEADER_BYTES, 0, types_len, types_len, strings_len] {
        copy.extend(word.to_ne_bytes());
    }
    copy.extend(types);
    copy.extend(strings);
    copy
}
