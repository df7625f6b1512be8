//! The last events of all that are found, whatever the order in which they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The last `most` of them and one more, which tells that there are more; and not more than some bytes.
#[derive(Debug)]
pub(super) struct Newest {
    most: usize,
    most_bytes: usize,
    bytes: usize,
    found: u64,
    /// By time, and by the order in which they were found; the first is on top.
    heap: BinaryHeap<Reverse<(i64, u64, Vec<u8>)>>,
    /// Of the last that was given up for its bytes: what is before it has no place any more, or there would be a hole.
    given_up: Option<i64>,
}

impl Newest {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, bytes: 0, found: 0, heap: BinaryHeap::new(), given_up: None }
    }

    /// From which time on there is a place for one, ns since 1970.
    pub(super) fn floor(&self) -> i64 {
        let first = self.heap.peek().filter(|_| self.heap.len() > self.most);
        let first = first.map(|Reverse((first, ..))| *first);
        first.max(self.given_up).unwrap_or(i64::MIN)
    }

    /// Takes an event of a time, if it is one of the last.
    pub(super) fn take(&mut self, time: i64, event: &[u8]) {
        if time < self.floor() {
            return;
        }
        self.found += 1;
        self.bytes += event.len();
        self.heap.push(Reverse((time, self.found, event.to_vec())));
        if self.heap.len() > self.most + 1 {
            self.pop();
        }
        while self.bytes > self.most_bytes {
            self.given_up = self.given_up.max(self.pop());
        }
    }

    fn pop(&mut self) -> Option<i64> {
        let Reverse((time, _, event)) = self.heap.pop()?;
        self.bytes -= event.len();
        Some(time)
    }

    /// All of them in their order, and whether there are more.
    pub(super) fn finish(mut self) -> (Vec<Vec<u8>>, bool) {
        let is_over = self.heap.len() > self.most;
        if is_over {
            self.pop();
        }
        let sorted = self.heap.into_sorted_vec();
        let events = sorted.into_iter().rev().map(|Reverse((.., event))| event);
        (events.collect(), is_over || self.given_up.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(most: usize, most_bytes: usize, times: &[i64]) -> (Vec<Vec<u8>>, bool) {
        let mut newest = Newest::new(most, most_bytes);
        times.iter().for_each(|&time| newest.take(time, &[time as u8]));
        newest.finish()
    }

    #[test]
    fn the_last_are_kept_in_their_order() {
        assert_eq!(taken(3, 100, &[5, 1, 9, 7, 3]), (vec![vec![5], vec![7], vec![9]], true));
        assert_eq!(taken(2, 100, &[5, 1]), (vec![vec![1], vec![5]], false));
        assert_eq!(taken(1, 100, &[5, 1, 1]), (vec![vec![5]], true));
    }

    #[test]
    fn they_take_no_more_bytes_than_they_may_and_leave_no_hole() {
        // 2 was given up for 9, so 1 and 2 have no place, although there would be room for them.
        assert_eq!(taken(9, 3, &[2, 5, 7, 9, 1]), (vec![vec![5], vec![7], vec![9]], true));
        let mut newest = Newest::new(9, 4);
        newest.take(5, &[0; 3]);
        newest.take(9, &[0; 3]);
        newest.take(4, &[0; 1]);
        assert_eq!(newest.finish().0.len(), 1);
    }
}
