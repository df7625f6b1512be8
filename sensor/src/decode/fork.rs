use std::mem::offset_of;

use wanglou_sensor_common::event::Fork;

use super::{Refused, comm, known, parse, state};
use crate::observation::{Action, State};

pub(super) fn decode(body: &[u8]) -> Result<(Action<'_>, State<'_>), Refused> {
    let (fork, _) = parse::<Fork>(body)?;
    let creator = Some((fork.creator_pid, known(fork.creator_start)));
    let state = State {
        vpid: known(fork.vpid),
        ..state(fork.ids, comm(body, offset_of!(Fork, comm)), fork.real_parent)
    };
    Ok((Action::Fork { creator }, state))
}
