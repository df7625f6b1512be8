//! The bytes of the process connector: one datagram holds netlink messages, each of which holds a
//! connector message, which holds an event.
//!
//! ```text
//! struct nlmsghdr   u32 len, u16 type, u16 flags, u32 seq, u32 pid                 16 bytes
//! struct cn_msg     u32 idx, u32 val, u32 seq, u32 ack, u16 len, u16 flags         20 bytes
//! struct proc_event u32 what, u32 cpu, u64 timestamp_ns, union event_data     16 + 24 bytes
//! ```
//!
//! `include/uapi/linux/{netlink,connector,cn_proc}.h`, read in 6.18; byte order is the machine's.

use crate::observation::Ids;

/// One message of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Per-CPU sequence, shared by all kinds.
    pub sequence: u32,
    /// The CPU that sent it; `None` in acknowledgements of old kernels, which count nothing.
    pub cpu: Option<u32>,
    /// Monotonic time, ns.
    pub time: u64,
    /// What happened.
    pub event: Event,
}

/// What happened, of the kinds that the sensor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A thread was created; it is a process if it leads its group.
    Fork {
        /// Thread group of its `real_parent`.
        parent: u32,
        /// The thread.
        pid: u32,
        /// Its thread group.
        tgid: u32,
    },
    /// A process executed a file; the thread that did is its leader by now.
    Exec {
        /// The process.
        tgid: u32,
    },
    /// A thread changed its user ids.
    User {
        /// The thread.
        pid: u32,
        /// Its thread group.
        tgid: u32,
        /// What they are now.
        ids: Ids,
    },
    /// A thread changed its group ids.
    Group {
        /// The thread.
        pid: u32,
        /// Its thread group.
        tgid: u32,
        /// What they are now.
        ids: Ids,
    },
    /// A thread exited.
    Exit {
        /// The thread.
        pid: u32,
        /// Its thread group.
        tgid: u32,
        /// As `wait(2)` tells it.
        status: u32,
    },
    /// The answer to a request, to all listeners.
    Acknowledged {
        /// The `ack` of the request, and one more.
        ack: u32,
        /// An errno, or 0.
        error: u32,
    },
    /// A kind that the sensor has no use for; it counts in the sequence.
    Other,
}

/// The bytes are not what a kernel sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

pub(super) const CN_IDX_PROC: u32 = 1;
pub(super) const CN_VAL_PROC: u32 = 1;
pub(super) const NLMSG_DONE: u16 = 3;
pub(super) const NETLINK_HEADER: usize = 16;
pub(super) const CONNECTOR_HEADER: usize = 20;

const WHAT_NONE: u32 = 0;
const WHAT_FORK: u32 = 1;
const WHAT_EXEC: u32 = 2;
const WHAT_UID: u32 = 4;
const WHAT_GID: u32 = 0x40;
const WHAT_EXIT: u32 = 0x8000_0000;

/// The messages of one datagram; what is not the connector's is passed over, and nothing is read
/// behind what is malformed.
pub fn parse(datagram: &[u8]) -> impl Iterator<Item = Result<Message, Malformed>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let Some((kind, payload, after)) = split(rest) else {
                rest = &[];
                return Some(Err(Malformed));
            };
            rest = after;
            if kind == NLMSG_DONE && is_ours(payload) {
                return Some(message(payload).ok_or(Malformed));
            }
        }
    })
}

/// The first netlink message: its type, its payload, and what follows it, aligned to four bytes.
fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(word(bytes, 0)?).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let payload = bytes.get(NETLINK_HEADER..length)?;
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, payload, after))
}

fn is_ours(payload: &[u8]) -> bool {
    // Too short to say whose it is: refused where it is read.
    word(payload, 0).is_none_or(|idx| idx == CN_IDX_PROC)
        && word(payload, 4).is_none_or(|val| val == CN_VAL_PROC)
}

fn message(payload: &[u8]) -> Option<Message> {
    let sequence = word(payload, 8)?;
    let ack = word(payload, 12)?;
    let length = usize::from(u16::from_ne_bytes(*payload.get(16..)?.first_chunk()?));
    let event = payload.get(CONNECTOR_HEADER..)?.get(..length)?;
    let cpu = word(event, 4)?;
    let time = u64::from_ne_bytes(*event.get(8..)?.first_chunk()?);
    Some(Message {
        sequence,
        cpu: (cpu != u32::MAX).then_some(cpu),
        time,
        event: data(word(event, 0)?, ack, event.get(16..)?)?,
    })
}

fn data(what: u32, ack: u32, data: &[u8]) -> Option<Event> {
    let field = |index: usize| word(data, index * 4);
    let ids = || Some(Ids { real: field(2)?, effective: field(3)? });
    Some(match what {
        WHAT_NONE => Event::Acknowledged { ack, error: field(0)? },
        // parent_pid parent_tgid child_pid child_tgid
        WHAT_FORK => Event::Fork { parent: field(1)?, pid: field(2)?, tgid: field(3)? },
        // process_pid process_tgid, which begins all the others
        WHAT_EXEC => Event::Exec { tgid: field(1)? },
        WHAT_UID => Event::User { pid: field(0)?, tgid: field(1)?, ids: ids()? },
        WHAT_GID => Event::Group { pid: field(0)?, tgid: field(1)?, ids: ids()? },
        WHAT_EXIT => Event::Exit { pid: field(0)?, tgid: field(1)?, status: field(2)? },
        _ => Event::Other,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(what: u32, cpu: u32, sequence: u32, time: u64, data: [u32; 6]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut words = |words: &[u32]| {
            words.iter().for_each(|word| bytes.extend_from_slice(&word.to_ne_bytes()));
        };
        words(&[76, u32::from(NLMSG_DONE), sequence, 0]);
        words(&[CN_IDX_PROC, CN_VAL_PROC, sequence, 8, 40, what, cpu]);
        bytes.extend_from_slice(&time.to_ne_bytes());
        data.iter().for_each(|word| bytes.extend_from_slice(&word.to_ne_bytes()));
        bytes
    }

    fn one(bytes: &[u8]) -> Result<Message, Malformed> {
        let mut messages = parse(bytes);
        let message = messages.next().expect("a message");
        assert!(messages.next().is_none());
        message
    }

    /// Sent by 6.18.44 on x86-64 when `/bin/true` exited.
    #[cfg(target_endian = "little")]
    #[test]
    fn reads_what_a_kernel_sent() {
        let bytes = *include_bytes!("../../fuzz/seeds/cn_proc_message/exit");
        let Event::Exit { pid, tgid, status } = one(&bytes).expect("a message").event else {
            panic!("another kind")
        };
        assert_eq!((pid, status), (tgid, 7 << 8));
    }

    #[test]
    fn reads_each_kind() {
        let event = |what, data| one(&datagram(what, 0, 0, 0, data)).map(|message| message.event);
        let ids = Ids { real: 3, effective: 4 };
        let data = [1, 2, 3, 4, 5, 6];
        assert_eq!(event(WHAT_FORK, data), Ok(Event::Fork { parent: 2, pid: 3, tgid: 4 }));
        assert_eq!(event(WHAT_EXEC, data), Ok(Event::Exec { tgid: 2 }));
        assert_eq!(event(WHAT_UID, data), Ok(Event::User { pid: 1, tgid: 2, ids }));
        assert_eq!(event(WHAT_GID, data), Ok(Event::Group { pid: 1, tgid: 2, ids }));
        assert_eq!(event(WHAT_EXIT, data), Ok(Event::Exit { pid: 1, tgid: 2, status: 3 }));
        assert_eq!(event(WHAT_NONE, data), Ok(Event::Acknowledged { ack: 8, error: 1 }));
        assert_eq!(event(0x200, data), Ok(Event::Other));
    }

    #[test]
    fn other_connectors_and_types_are_passed_over() {
        let mut bytes = datagram(WHAT_EXEC, 0, 0, 0, [0; 6]);
        bytes[16] = 9;
        let mut second = datagram(WHAT_EXEC, 0, 0, 0, [0; 6]);
        second[4] = 1;
        bytes.extend(second);
        bytes.extend(datagram(WHAT_EXEC, 1, 2, 3, [4; 6]));
        let message = one(&bytes).expect("a message");
        assert_eq!((message.cpu, message.sequence, message.time), (Some(1), 2, 3));
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes: Vec<u8>) {
            parse(&bytes).for_each(drop);
        }

        #[test]
        fn survives_any_content(
            what: u32, cpu: u32, sequence: u32, time: u64, data: [u32; 6],
            at in 0usize..76, byte: u8,
        ) {
            let mut bytes = datagram(what, cpu, sequence, time, data);
            prop_assert!(one(&bytes).is_ok());
            bytes[at] = byte;
            parse(&bytes).for_each(drop);
        }

        #[test]
        fn half_a_message_is_refused(keep in 1usize..76) {
            let bytes = datagram(WHAT_EXIT, 0, 0, 0, [0; 6]);
            prop_assert_eq!(one(&bytes[..keep]), Err(Malformed));
        }

        #[test]
        fn messages_follow_each_other(count in 1u32..20) {
            let bytes: Vec<u8> =
                (0..count).flat_map(|n| datagram(WHAT_EXEC, 0, n, 0, [0; 6])).collect();
            let sequences: Vec<_> =
                parse(&bytes).map(|message| message.expect("a message").sequence).collect();
            prop_assert_eq!(sequences, (0..count).collect::<Vec<_>>());
        }
    }
}
