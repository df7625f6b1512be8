//! What a host that lies says: nothing of it may reach another host, an order, or more than a little memory.

use anyhow::Result;
use bytes::Bytes;
use wanglou_api::sensor::v1::control_request::Message;
use wanglou_api::sensor::v1::order_receipt::{Refusal, Stage};
use wanglou_api::sensor::v1::{Breaker, CommandResult, Heartbeat, Hello, Ledger};

use crate::orders::receipt;
use crate::wire::Say;

/// One lie, by chance.
pub(crate) fn tell(say: &mut Say) -> Result<()> {
    let any = fastrand::u64(..);
    let message = match fastrand::u8(..8) {
        // Of orders that nobody gave.
        0 => Message::OrderReceipt(receipt(any, Stage::Detached, Refusal::Unspecified)),
        1 => Message::OrderReceipt(receipt(any % 100, Stage::Refused, Refusal::Signature)),
        2 => Message::OrderReceipt(receipt(any % 100, Stage::Started, Refusal::Epoch)),
        // That it is another.
        3 => Message::Hello(Hello {
            hostname: "host-000000".to_owned(),
            boot_id: "host-000000".to_owned(),
            instance_id: format!("{any:016x}"),
            version: "9".repeat(4096),
            ..Hello::default()
        }),
        4 => Message::Heartbeat(boast()),
        5 => Message::CommandResult(CommandResult {
            command_id: format!("{any:x}"),
            error: "\0\u{202e}".repeat(1024),
        }),
        // A message that is none.
        6 => return say.bytes(Bytes::from_static(&[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff])),
        // The beginning of one that would be as long as memory.
        _ => return say.bytes(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 0x0a])),
    };
    say.message(message)
}

fn boast() -> Heartbeat {
    let many = |n: u32| (format!("cause-{n}"), u64::MAX);
    Heartbeat {
        run_id: Some(u64::MAX),
        state: i32::MAX,
        reason: "x".repeat(16 << 10),
        breaker: Some(Breaker { trips: u64::MAX, level: u32::MAX, rest: None }),
        cpu_millicores: u32::MAX,
        probe_millicores: u32::MAX,
        memory_bytes: u64::MAX,
        ledger: Some(Ledger { dropped: (0..1000).map(many).collect(), ..Ledger::default() }),
        ..Heartbeat::default()
    }
}
