use wanglou_sensor_common::event::Exit;
use zerocopy::FromBytes as _;

use super::{Refused, state};
use crate::observation::{Action, End, State};

pub(super) fn decode(body: &[u8]) -> Result<(Action<'_>, State<'_>), Refused> {
    let (exit, _) = Exit::ref_from_prefix(body).map_err(|_| Refused::Short(body.len()))?;
    let end = End {
        status: Some(exit.status),
        cpu_ns: Some(exit.cpu_ns),
        max_rss_bytes: Some(exit.max_rss_pages.saturating_mul(rustix::param::page_size() as u64)),
    };
    Ok((Action::End(end), state(exit.ids, &exit.comm, exit.real_parent)))
}
