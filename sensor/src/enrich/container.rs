//! Where a process runs, as events tell it.

use wanglou_api::event::{
    self as view, ContainerImage, Event, EventMeta, Orchestrator, OrchestratorResource, Strings,
    Timestamp,
};

use super::Enricher;
use super::event::Around;
use crate::action::{Action, Category};
use crate::container::{Container, Details};
use crate::observation::Observation;
use crate::outlets::Outlets;

impl Enricher {
    /// Tells of containers of which their runtimes have told more since this was last called.
    pub fn tell_of_containers(&mut self, now: u64, outlets: &mut Outlets) {
        let clock = self.clock;
        while let Some(container) = self.containers.completed(now) {
            report(container, clock.utc(now), outlets);
        }
    }

    /// Makes sure that it is known which container this is in.
    pub(super) fn locate(&mut self, seen: &Observation<'_>) {
        if let Some(cgroup) = seen.state.cgroup {
            self.containers.see(cgroup, seen.state.cgroup_path, seen.pid, seen.time);
        }
    }
}

impl<'a> Around<'a> {
    /// Adds the container that a cgroup belongs to, and what is known of it by now.
    pub(super) fn place(self, cgroup: Option<u64>, event: &mut Event<'a>) {
        if let Some(container) = cgroup.and_then(|cgroup| self.containers.of(cgroup)) {
            describe(container, event);
        }
    }
}

/// More is known of a container now.
fn report(container: &Container, now: Timestamp, outlets: &mut Outlets) {
    let action = Action::ContainerSeen;
    let meta = EventMeta {
        kind: Some("asset"),
        category: action.category().map(Category::names),
        r#type: Some(action.kind()),
        action: Some(action.name()),
        provider: container.details.as_ref().map(|details| details.source.name()),
        ..EventMeta::default()
    };
    let mut event = Event { timestamp: Some(now), event: Some(meta), ..Event::default() };
    describe(container, &mut event);
    outlets.report(action, &mut event);
}

fn describe<'a>(container: &'a Container, event: &mut Event<'a>) {
    let mut told = view::Container {
        id: Some(&container.id),
        runtime: container.runtime,
        ..view::Container::default()
    };
    if let Some(details) = &container.details {
        let name = known(&details.image);
        told.name = known(&details.name);
        told.image = name.map(|name| ContainerImage { name: Some(name) });
        told.runtime = told.runtime.or(known(&details.runtime));
        let labels = known(&details.labels).map(Strings::Nul);
        if details.pod.is_empty() {
            event.wanglou.get_or_insert_default().container_labels = labels;
        } else {
            event.orchestrator = Some(orchestrator(details, labels));
        }
    }
    event.container = Some(told);
}

fn orchestrator<'a>(details: &'a Details, label: Option<Strings<'a>>) -> Orchestrator<'a> {
    Orchestrator {
        namespace: known(&details.namespace),
        resource: Some(OrchestratorResource {
            name: known(&details.pod),
            id: known(&details.pod_id),
            label,
        }),
    }
}

fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
