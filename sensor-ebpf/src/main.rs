//! Wanglou's probes. Each `probe/` file is one program; `maps.rs` has every map, `kernel.rs` the
//! only reads of kernel structures, `emit.rs` the one way into the ring.
#![no_std]
#![no_main]
// `asm!` for BPF: see `emit.rs`.
#![feature(asm_experimental_arch)]

mod emit;
mod filter;
mod iterator;
mod kernel;
mod limit;
mod maps;
mod path;
mod probe;
mod scratch;
mod shed;

/// The helpers that probes need are reserved for programs with a GPL-compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: no panic survives optimisation; a program that could reach this would loop and be
    // refused by the verifier.
    unsafe { core::hint::unreachable_unchecked() }
}
