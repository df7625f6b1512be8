//! A walker over the kernel's own type information (BTF): where is this member, which number has
//! this enumerator, how many arguments has this function.
//!
//! The format: Documentation/bpf/btf.rst of the kernel, read at 6.18. A header, a section of types
//! one after another (number 1 is the first), a section of NUL-ended strings. Only what is asked
//! for is decoded; anything that does not fit is an error, never a panic.

use std::collections::HashMap;

use thiserror::Error;

/// Why the type information could not be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// It ends too early.
    #[error("the kernel's BTF is cut short at byte {0}")]
    Short(usize),
    /// Not BTF, or not of this machine's byte order.
    #[error("the kernel's BTF begins with {0:#06x} instead of 0xeb9f")]
    Magic(u16),
    /// A kind of a later kernel, of unknown size.
    #[error("the kernel's BTF has a type of unknown kind {0}")]
    Kind(u32),
}

/// Kinds that the walker looks for (include/uapi/linux/btf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Kind {
    /// `BTF_KIND_PTR`
    Pointer = 2,
    /// `BTF_KIND_STRUCT`
    Struct = 4,
    /// `BTF_KIND_UNION`
    Union = 5,
    /// `BTF_KIND_ENUM`
    Enum = 6,
    /// `BTF_KIND_FWD`
    Forward = 7,
    /// `BTF_KIND_TYPEDEF`
    Typedef = 8,
    /// `BTF_KIND_FUNC`
    Function = 12,
}

const MAGIC: u16 = 0xeb9f;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
/// Anonymous structures inside one another, at most.
const DEPTH: u32 = 16;

/// The type information of a kernel.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `types`; type 0 is `void` and has no place.
    places: Vec<u32>,
}

/// One type.
#[derive(Clone, Copy)]
pub(super) struct Type<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: u32,
    vlen: usize,
    bitfields: bool,
    /// The type it refers to, or its size.
    pub(super) target: u32,
    /// Head and what follows it.
    pub(super) bytes: &'a [u8],
}

impl<'a> Btf<'a> {
    /// Finds the types; `bytes` is /sys/kernel/btf/vmlinux.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let magic = u16(bytes, 0)?;
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        let header = u32(bytes, 4)? as usize;
        let section = |offset: usize| -> Result<&'a [u8], BtfError> {
            let start = header.saturating_add(u32(bytes, offset)? as usize);
            let end = start.saturating_add(u32(bytes, offset + 4)? as usize);
            bytes.get(start..end).ok_or(BtfError::Short(bytes.len()))
        };
        let (types, strings) = (section(8)?, section(16)?);

        let mut places = Vec::with_capacity(types.len() / 24);
        let mut place = 0;
        while place < types.len() {
            places.push(place as u32);
            place += TYPE_BYTES + trailing(u32(types, place + 4)?)?;
        }
        if place != types.len() {
            return Err(BtfError::Short(place));
        }
        Ok(Self { types, strings, places })
    }

    /// Ids of the named types; one pass for all of them.
    pub fn find<'n>(&self, wanted: &[(Kind, &'n str)]) -> HashMap<(Kind, &'n str), u32> {
        let by_name: HashMap<(u32, &[u8]), (Kind, &'n str)> = wanted
            .iter()
            .map(|&(kind, name)| ((kind as u32, name.as_bytes()), (kind, name)))
            .collect();
        let mut found = HashMap::new();
        for id in 1..=self.len() {
            let Some(ty) = self.ty(id) else { continue };
            if let Some(&key) = by_name.get(&(ty.kind, ty.name)) {
                found.entry(key).or_insert(id);
            }
        }
        found
    }

    /// Offset in bytes of a member, as in `se.sum_exec_runtime`.
    pub fn offset(&self, structure: u32, path: &str) -> Option<u32> {
        let mut id = structure;
        let mut bits = 0_u32;
        for name in path.split('.') {
            let (member, at) = self.member(id, name.as_bytes(), DEPTH)?;
            (id, bits) = (member, bits.checked_add(at)?);
        }
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    /// Value of an enumerator.
    pub fn enumerator(&self, id: u32, name: &str) -> Option<u32> {
        let ty = self.ty(id).filter(|ty| ty.kind == Kind::Enum as u32)?;
        (0..ty.vlen)
            .map(|n| TYPE_BYTES + n * 8)
            .find(|&at| {
                u32(ty.bytes, at).is_ok_and(|offset| self.string(offset) == name.as_bytes())
            })
            .and_then(|at| u32(ty.bytes, at + 4).ok())
    }

    /// Arguments of the function that a typedef of a pointer to one stands for, as
    /// `btf_trace_sched_process_exit` does: the first is the tracer's own.
    pub fn arguments(&self, typedef: u32) -> Option<usize> {
        let pointer = self.ty(self.ty(typedef)?.target)?;
        Some(self.ty(pointer.target)?.vlen)
    }

    /// Arguments of a function.
    pub fn parameters(&self, function: u32) -> Option<usize> {
        Some(self.ty(self.ty(function)?.target)?.vlen)
    }

    /// Number of types; ids go from 1 to it.
    pub(super) fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// The type with an id.
    pub(super) fn ty(&self, id: u32) -> Option<Type<'a>> {
        let place = *self.places.get((id as usize).checked_sub(1)?)? as usize;
        let info = u32(self.types, place + 4).ok()?;
        let len = TYPE_BYTES + trailing(info).ok()?;
        Some(Type {
            name: self.string(u32(self.types, place).ok()?),
            kind: kind(info),
            vlen: (info & 0xffff) as usize,
            bitfields: info >> 31 == 1,
            target: u32(self.types, place + 8).ok()?,
            bytes: self.types.get(place..place + len)?,
        })
    }

    /// Type and bit offset of a member, looked for in anonymous members too.
    fn member(&self, id: u32, name: &[u8], depth: u32) -> Option<(u32, u32)> {
        let ty = self.resolve(id)?;
        if ty.kind != Kind::Struct as u32 && ty.kind != Kind::Union as u32 {
            return None;
        }
        let mut nested = Vec::new();
        for n in 0..ty.vlen {
            let at = TYPE_BYTES + n * MEMBER_BYTES;
            let (member, offset) = (u32(ty.bytes, at + 4).ok()?, u32(ty.bytes, at + 8).ok()?);
            // With the flag the upper byte is the width of a bit field.
            let offset = if ty.bitfields { offset & 0x00ff_ffff } else { offset };
            match self.string(u32(ty.bytes, at).ok()?) {
                found if found == name => return Some((member, offset)),
                b"" => nested.push((member, offset)),
                _ => {}
            }
        }
        let depth = depth.checked_sub(1)?;
        nested.into_iter().find_map(|(member, outer)| {
            let (id, inner) = self.member(member, name, depth)?;
            Some((id, outer.checked_add(inner)?))
        })
    }

    /// Looks through typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<Type<'a>> {
        for _ in 0..DEPTH {
            let ty = self.ty(id)?;
            match ty.kind {
                // typedef, volatile, const, restrict, type tag
                8..=11 | 18 => id = ty.target,
                _ => return Some(ty),
            }
        }
        None
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

fn kind(info: u32) -> u32 {
    (info >> 24) & 0x1f
}

/// Bytes that follow the head of a type.
fn trailing(info: u32) -> Result<usize, BtfError> {
    let vlen = (info & 0xffff) as usize;
    Ok(match kind(info) {
        // integer, variable, declaration tag
        1 | 14 | 17 => 4,
        // array
        3 => 12,
        // structure, union, data section, 64-bit enumeration
        4 | 5 | 15 | 19 => vlen * 12,
        // enumeration, function prototype
        6 | 13 => vlen * 8,
        // pointer, forward, typedef, qualifiers, function, float, type tag
        2 | 7..=12 | 16 | 18 => 0,
        unknown => return Err(BtfError::Kind(unknown)),
    })
}

fn u16(bytes: &[u8], at: usize) -> Result<u16, BtfError> {
    let word = bytes.get(at..at.saturating_add(2)).and_then(|word| word.try_into().ok());
    word.map(u16::from_ne_bytes).ok_or(BtfError::Short(bytes.len()))
}

fn u32(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let word = bytes.get(at..at.saturating_add(4)).and_then(|word| word.try_into().ok());
    word.map(u32::from_ne_bytes).ok_or(BtfError::Short(bytes.len()))
}

#[cfg(test)]
#[path = "btf_tests.rs"]
mod tests;
