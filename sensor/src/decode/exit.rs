use std::mem::offset_of;

use wanglou_sensor_common::event::Exit;

use super::{Refused, comm, parse, state};
use crate::observation::{Action, End, State};

pub(super) fn decode(body: &[u8]) -> Result<(Action<'_>, State<'_>), Refused> {
    let (exit, _) = parse::<Exit>(body)?;
    let end = End {
        status: Some(exit.status),
        cpu_ns: Some(exit.cpu_ns),
        max_rss_bytes: Some(exit.max_rss_pages.saturating_mul(rustix::param::page_size() as u64)),
    };
    Ok((Action::End(end), state(exit.ids, comm(body, offset_of!(Exit, comm)), exit.real_parent)))
}
