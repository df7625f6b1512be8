use wanglou_sensor_common::event::Flow as Record;

use super::connection::ends;
use super::{Refused, known, parse};
use crate::observation::{Action, Connection, Flow, Owner, State, Turn};

pub(super) fn decode(body: &[u8]) -> Result<(Action<'_>, State<'_>), Refused> {
    let (record, _) = parse::<Record>(body)?;
    let (local, remote) = ends(&record.tuple).ok_or(Refused::Family(record.tuple.family))?;
    let flow = Flow {
        last: record.last,
        sent: (record.sent_bytes, record.sent_packets),
        received: (record.received_bytes, record.received_packets),
    };
    let connection = Connection {
        turn: Turn::Flow(flow),
        egress: record.egress != 0,
        local,
        remote,
        net_ns: known(record.tuple.net_ns),
        opened: known(record.first),
        owner: Owner::Seen,
        error: None,
        recovered: false,
    };
    Ok((Action::Connection(connection), State::default()))
}
