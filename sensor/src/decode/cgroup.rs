use super::until_nul;
use crate::observation::{Action, State};

pub(super) fn decode(body: &[u8]) -> (Action<'_>, State<'_>) {
    (Action::Cgroup, State { cgroup_path: Some(until_nul(body)), ..State::default() })
}
