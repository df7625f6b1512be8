//! Which hosts are asked for.

use tonic::Status;
use wanglou_api::fleet::v1::HostFilter;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::signing::selects;

use super::bad;
use crate::view::Seen;

/// A filter that makes sense.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter(HostFilter);

impl Filter {
    pub(super) fn new(filter: Option<HostFilter>) -> Result<Self, Status> {
        let filter = filter.unwrap_or_default();
        if let Some(state) = filter.states.iter().find(|state| State::try_from(**state).is_err()) {
            return Err(bad("filter.states", format!("there is no state {state}")));
        }
        Ok(Self(filter))
    }

    pub(super) fn takes(&self, host: &Seen<'_>) -> bool {
        let Self(filter) = self;
        let is_selected = filter
            .selector
            .as_ref()
            .is_none_or(|selector| selects(selector, host.name.as_str(), |name| host.label(name)));
        let breaker = || host.heartbeat().and_then(|it| it.breaker.as_ref());
        is_selected
            && (filter.states.is_empty() || filter.states.contains(&i32::from(host.state())))
            && (filter.versions.is_empty() || filter.versions.iter().any(|it| it == host.version()))
            && (!filter.breaker_open
                || breaker().is_some_and(|it| it.level > 0 || it.rest.is_some()))
    }
}
