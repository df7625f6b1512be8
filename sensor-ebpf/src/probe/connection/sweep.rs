use wanglou_sensor_common::Kind;
use wanglou_sensor_common::counters::Stream;
use wanglou_sensor_common::event::connection_flags as flags;

use super::{Ending, Entry, LEN, Record, body, give_up, listener};
use crate::emit;
use crate::filter::{self, Direction};
use crate::iterator::{self, Element};
use crate::kernel::{self, Owner};

/// A connection that nobody is seen with for so long is told of without.
const PATIENCE_NS: u64 = 1_000_000_000;

/// Looks at every socket that is known: for ends that nobody saw, which are counted as lost, and for
/// connections that were taken and that nobody has been seen with for a while, as their process may
/// wait in recv(2) for hours. Of these it writes a record.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
extern "C" fn sweep(ctx: *const Element<u64, Entry>) -> i32 {
    let Some((socket, entry)) = Element::parts(ctx) else { return 0 };
    if entry.is(flags::ESTABLISHED) && !kernel::is_connected_at(socket, entry.tuple.remote_port) {
        // Its place stays taken until another socket has the same memory: told once.
        give_up(entry);
        entry.flags &= !(flags::ESTABLISHED | flags::UNCLAIMED);
        return 0;
    }
    let waits = entry.is(flags::UNCLAIMED) && !entry.is(flags::TOLD | flags::EGRESS);
    let now = emit::now();
    if !waits || now.saturating_sub(entry.opened) < PATIENCE_NS {
        return 0;
    }
    let owner = listener(&entry.tuple).unwrap_or(Owner::unknown());
    if filter::drops(&entry.tuple, Direction::Ingress, &owner) {
        entry.flags = entry.flags & !flags::UNCLAIMED | flags::DROPPED;
        emit::settled(Stream::Accept);
        return 0;
    }
    let header = emit::header_of(Kind::Accept, LEN, owner);
    let ending = Ending { flags: flags::LISTENER, ..Ending::default() };
    let record = Record { header, body: body(entry, ending) };
    // SAFETY: the context is live.
    if iterator::write(unsafe { (*ctx).meta }, &raw const record, LEN) {
        entry.flags |= flags::TOLD;
        emit::settled(Stream::Accept);
    }
    0
}
