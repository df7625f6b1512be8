use std::mem::offset_of;

use wanglou_sensor_common::event::Credentials;

use super::{Refused, comm, parse, state};
use crate::observation::{Action, Ids, State};

pub(super) fn decode(body: &[u8]) -> Result<(Action<'_>, State<'_>), Refused> {
    let (change, _) = parse::<Credentials>(body)?;
    let old = (
        Ids { real: change.old.uid, effective: change.old.euid },
        Ids { real: change.old.gid, effective: change.old.egid },
    );
    Ok((
        Action::Credentials { old: Some(old) },
        state(change.new, comm(body, offset_of!(Credentials, comm)), 0),
    ))
}
