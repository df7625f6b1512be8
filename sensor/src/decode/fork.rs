use wanglou_sensor_common::event::Fork;
use zerocopy::FromBytes as _;

use super::{Refused, known, state};
use crate::observation::{Action, State};

pub(super) fn decode(body: &[u8]) -> Result<(Action<'_>, State<'_>), Refused> {
    let (fork, _) = Fork::ref_from_prefix(body).map_err(|_| Refused::Short(body.len()))?;
    let creator = Some((fork.creator_pid, known(fork.creator_start)));
    let state = State { vpid: known(fork.vpid), ..state(fork.ids, &fork.comm, fork.real_parent) };
    Ok((Action::Fork { creator }, state))
}
