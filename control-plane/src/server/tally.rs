//! So many of each, and no more.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// How many there are of whom; those of whom there are none are not remembered.
#[derive(Debug)]
pub(super) struct Tally<K>(Arc<Mutex<HashMap<K, usize>>>);

/// One of them, for as long as it lives.
#[derive(Debug)]
pub(super) struct Entry<K: Clone + Eq + Hash>(Tally<K>, K);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Tally<K> {
    /// One more, unless there are as many already.
    pub(super) fn enter(&self, who: &K, most: usize) -> Option<Entry<K>> {
        let mut of = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of.entry(who.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Entry(self.clone(), who.clone()))
    }
}

impl<K: Clone + Eq + Hash> Drop for Entry<K> {
    fn drop(&mut self) {
        let mut of = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                of.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_makes_room_for_another() {
        let tally = Tally::default();
        let first = tally.enter(&"a", 2).expect("room");
        let second = tally.enter(&"a", 2).expect("room");
        assert!(tally.enter(&"a", 2).is_none());
        let other = tally.enter(&"b", 2).expect("room for another");
        drop(first);
        let third = tally.enter(&"a", 2).expect("room");
        drop((second, third, other));
        assert!(tally.0.lock().expect("a tally").is_empty());
    }
}
