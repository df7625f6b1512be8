//! Who belongs to a tree, found one generation after another.

use std::collections::HashSet;

use datafusion_expr::Operator;
use prost::Message as _;
use wanglou_api::event::v1;

use super::{TreeQuery, any};
use crate::query::filter::{Conditions, FilterError, balanced};
use crate::query::matcher::Matcher;
use crate::query::scan::Found;

/// Processes of a tree, at most.
const MOST: usize = 10_000;

/// Who belongs to the tree.
pub(super) struct Kin {
    asked: String,
    most: usize,
    /// In the order in which they were found.
    pub(super) ids: Vec<String>,
    seen: HashSet<String>,
    /// Ancestors of which no event was looked for yet.
    above: Vec<String>,
    /// Processes whose children were not looked for yet.
    below: Vec<String>,
    /// Those of this generation.
    ancestors: HashSet<String>,
    parents: HashSet<String>,
    /// Of the one that was asked for, or of its children: an id says of which host it is, and others may lie.
    pub(super) host: Option<String>,
    /// There was no room for all.
    pub(super) is_cut: bool,
    /// Nothing was found of it itself, so its children are looked for on any host.
    has_children_only: bool,
}

impl Kin {
    pub(super) fn new(query: &TreeQuery) -> Self {
        let asked = query.entity_id.clone();
        Self {
            most: query.max_processes.clamp(1, MOST),
            ids: vec![asked.clone()],
            seen: [asked.clone()].into(),
            above: vec![asked.clone()],
            below: Vec::new(),
            ancestors: HashSet::new(),
            parents: HashSet::new(),
            host: None,
            is_cut: false,
            has_children_only: false,
            asked,
        }
    }

    /// Whoever is to be looked for next; nobody if all are known.
    pub(super) fn next(&mut self) -> Result<Option<Matcher>, FilterError> {
        if self.is_done() && self.host.is_none() && !self.has_children_only {
            self.has_children_only = true;
            self.below.push(self.asked.clone());
        }
        if self.is_done() {
            return Ok(None);
        }
        let (above, below) = (std::mem::take(&mut self.above), std::mem::take(&mut self.below));
        let mut conditions = Conditions::default();
        let sides = [("process.entity_id", &above), ("process.parent.entity_id", &below)];
        let sides = sides.into_iter().filter(|(_, ids)| !ids.is_empty());
        let sides = sides.map(|(field, ids)| Ok(any(conditions.field(field)?, ids)));
        let sides = sides.collect::<Result<_, FilterError>>()?;
        conditions.all.extend(balanced(sides, Operator::Or));
        self.ancestors = above.into_iter().collect();
        self.parents = below.into_iter().collect();
        Matcher::new(conditions).map(Some)
    }

    /// Nobody is left to be looked for.
    pub(super) fn is_done(&self) -> bool {
        self.above.is_empty() && self.below.is_empty()
    }

    fn add(&mut self, id: &str) -> bool {
        if self.seen.contains(id) {
            return false;
        }
        if self.ids.len() >= self.most {
            self.is_cut = true;
            return false;
        }
        self.seen.insert(id.to_owned());
        self.ids.push(id.to_owned());
        true
    }
}

impl Found for Kin {
    fn floor(&self) -> i64 {
        i64::MIN
    }

    fn take(&mut self, _: i64, event: &[u8]) {
        let Ok(event) = v1::Event::decode(event) else { return };
        let host = event.host.and_then(|host| host.id).unwrap_or_default();
        let process = event.process.unwrap_or_default();
        let Some(id) = process.entity_id else { return };
        let parent = process.parent.and_then(|parent| parent.entity_id);
        if self.host.is_none() {
            self.host = Some(host.clone());
            // Nobody's children are looked for before it is known on which host.
            if !self.has_children_only {
                self.below.push(self.asked.clone());
            }
        }
        if self.host.as_ref().is_some_and(|of| *of != host) {
            return;
        }
        if self.ancestors.contains(&id) {
            let listed = event.wanglou.map(|it| it.ancestors).unwrap_or_default();
            for ancestor in parent.iter().chain(&listed) {
                if self.add(ancestor) {
                    self.above.push(ancestor.clone());
                }
            }
        }
        if parent.is_some_and(|parent| self.parents.contains(&parent)) && self.add(&id) {
            self.below.push(id);
        }
    }
}
