//! How deep a process stands below the first one, so that a build looks like a tree.

use std::collections::HashMap;

use wanglou_api::event::Event;

/// Processes remembered. A map that is full starts anew: a wrong indent lasts until the next exec.
const CAPACITY: usize = 8192;

/// Depths of living processes, by entity id.
#[derive(Debug, Default)]
pub(super) struct Tree(HashMap<Box<str>, usize>);

impl Tree {
    /// The depth of the event's process; the first generation has none.
    pub(super) fn depth(&mut self, event: &Event<'_>) -> usize {
        let Some(process) = event.process else { return 0 };
        let known = process.entity_id.and_then(|id| self.0.get(id).copied());
        let parent = process.parent.and_then(|p| p.entity_id).and_then(|id| self.0.get(id));
        let ancestors = event.wanglou.and_then(|w| w.ancestors).map(|a| a.iter().count());
        // The list of ancestors is cut at some length; a parent that is known is not.
        let depth = known.or(parent.map(|depth| depth + 1)).or(ancestors).unwrap_or(0);

        let ended = event.event.and_then(|e| e.action) == Some("end");
        match process.entity_id {
            Some(id) if ended => _ = self.0.remove(id),
            Some(id) if known.is_none() => {
                if self.0.len() >= CAPACITY {
                    self.0.clear();
                }
                self.0.insert(id.into(), depth);
            }
            _ => {}
        }
        depth
    }
}

#[cfg(test)]
mod tests {
    use wanglou_api::event::{EventMeta, ParentProcess, Process, Strings, Wanglou};

    use super::*;

    fn event<'a>(action: &'a str, id: &'a str, parent: Option<&'a str>) -> Event<'a> {
        let parent = parent.map(|id| ParentProcess { entity_id: Some(id), ..Default::default() });
        Event {
            event: Some(EventMeta { action: Some(action), ..Default::default() }),
            process: Some(Process { entity_id: Some(id), parent, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn children_stand_below_their_parents_to_the_end() {
        let mut tree = Tree::default();
        assert_eq!(tree.depth(&event("existing_process", "make", None)), 0);
        assert_eq!(tree.depth(&event("fork", "gcc", Some("make"))), 1);
        assert_eq!(tree.depth(&event("fork", "cc1", Some("gcc"))), 2);
        assert_eq!(tree.depth(&event("end", "make", None)), 0);
        assert_eq!(tree.depth(&event("exec", "cc1", Some("gcc"))), 2);
        assert_eq!(tree.depth(&event("end", "cc1", None)), 2);
        assert_eq!(tree.0.len(), 1);
    }

    #[test]
    fn a_stranger_is_placed_by_its_ancestors() {
        let ancestors = Some(Strings::Slice(&["a", "b", "c"]));
        let mut event = event("exec", "x", Some("unheard of"));
        event.wanglou = Some(Wanglou { ancestors, ..Default::default() });
        assert_eq!(Tree::default().depth(&event), 3);
    }

    #[test]
    fn the_map_has_a_bound() {
        let mut tree = Tree::default();
        for n in 0..3 * CAPACITY {
            tree.depth(&event("fork", &n.to_string(), None));
        }
        assert!(tree.0.len() <= CAPACITY);
    }
}
