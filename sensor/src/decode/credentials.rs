use wanglou_sensor_common::event::Credentials;
use zerocopy::FromBytes as _;

use super::{Refused, state};
use crate::observation::{Action, Ids, State};

pub(super) fn decode(body: &[u8]) -> Result<(Action<'_>, State<'_>), Refused> {
    let (change, _) = Credentials::ref_from_prefix(body).map_err(|_| Refused::Short(body.len()))?;
    let old = (
        Ids { real: change.old.uid, effective: change.old.euid },
        Ids { real: change.old.gid, effective: change.old.egid },
    );
    Ok((Action::Credentials { old: Some(old) }, state(change.new, &change.comm, 0)))
}
