use proptest::prelude::*;
use wanglou_api::sensor::v1::{Batch, ClosedRun, LostBatch};

use super::*;

const NOW: i64 = 1_000;

fn counts(exec: u64) -> Counts {
    Counts::from([("exec".to_owned(), exec)])
}

fn ledger(produced: u64, dropped: u64, in_flight: u64) -> Option<BatchLedger> {
    let dropped =
        BTreeMap::from([("ring_full".to_owned(), ActionCounts { counts: counts(dropped) })]);
    Some(BatchLedger { produced: counts(produced), dropped, in_flight: counts(in_flight) })
}

fn batch(number: u64, events: u64, ledger: Option<BatchLedger>) -> Record {
    Record::Batch(Batch { number, counts: counts(events), ledger, ..Batch::default() })
}

fn lost(number: u64, events: u64) -> Record {
    let cause = "spool_full".to_owned();
    Record::LostBatch(LostBatch { run: None, number, counts: counts(events), cause })
}

fn closed(last_number: u64, ledger: Option<BatchLedger>) -> Record {
    Record::ClosedRun(ClosedRun { run: None, last_number, ledger })
}

fn of(records: &[Record]) -> Books {
    let mut books = Books::default();
    for record in records {
        assert_eq!(books.contradicts(record), Ok(()));
        books.count(record, Some((5, 9)), NOW);
    }
    books
}

#[test]
fn a_run_that_is_over_balances_to_the_last_event() {
    let books = of(&[
        batch(1, 10, ledger(14, 2, 2)),
        batch(2, 2, ledger(14, 2, 0)),
        lost(3, 4),
        closed(3, ledger(18, 2, 0)),
    ]);
    let balance = books.balance(false, NOW);
    assert_eq!((balance.state, balance.reason), (State::Balanced, String::new()));
    assert_eq!((balance.produced, balance.stored), (counts(18), counts(12)));
    assert_eq!(balance.lost["spool_full"], counts(4));
    assert_eq!(balance.lost["ring_full"], counts(2));
    assert_eq!(balance.times, Some((5, 9)));
}

#[test]
fn whatever_comes_twice_counts_once() {
    let mut books = of(&[batch(1, 10, ledger(10, 0, 0))]);
    assert!(!books.count(&batch(1, 10, ledger(10, 0, 0)), None, NOW));
    assert!(!books.count(&lost(1, 10), None, NOW), "one that is stored is not lost");
    assert_eq!(books.balance(false, NOW).stored, counts(10));
}

#[test]
fn what_is_missing_is_named() {
    let mut books = of(&[batch(1, 1, ledger(1, 0, 0)), batch(4, 1, ledger(4, 0, 0))]);
    let balance = books.balance(false, NOW);
    assert_eq!((balance.state, balance.missing), (State::Open, vec![(2, 3)]));
    assert_eq!(balance.unexplained, counts(2));
    assert_eq!(books.balance(false, NOW + GAP_MS + 1).state, State::Unbalanced);
    books.count(&closed(4, ledger(4, 0, 0)), None, NOW);
    let balance = books.balance(false, NOW);
    assert_eq!(balance.state, State::Unbalanced);
    // They come after all.
    books.count(&batch(2, 1, ledger(2, 0, 0)), None, NOW);
    books.count(&batch(3, 1, ledger(3, 0, 0)), None, NOW);
    assert_eq!(books.balance(false, NOW).state, State::Balanced);
}

#[test]
fn events_that_are_missing_from_whole_batches_are_seen() {
    let mut books = Books::default();
    books.count(&batch(1, 7, ledger(10, 0, 0)), None, NOW);
    let balance = books.balance(false, NOW);
    assert_eq!((balance.state, balance.unexplained), (State::Unbalanced, counts(3)));
}

#[test]
fn who_lies_is_told_so() {
    let books = of(&[batch(1, 10, ledger(12, 0, 2))]);
    for (record, why) in [
        (batch(2, 5, ledger(12, 0, 0)), "12 of exec were produced, and 15 are somewhere"),
        (batch(2, 1, ledger(9, 0, 0)), "less of exec was produced than before"),
        (closed(0, ledger(12, 2, 0)), "closed after batch 0, and batch 1 is there"),
        (closed(1, ledger(12, 0, 0)), "12 of exec were produced, and 10 are somewhere"),
    ] {
        assert_eq!(books.contradicts(&record), Err(why.to_owned()));
    }
    let mut over = books;
    over.count(&closed(1, ledger(12, 2, 0)), None, NOW);
    let late = over.contradicts(&batch(2, 1, None)).expect_err("it is over");
    assert_eq!(late, "batch 2 of a run that was closed after 1");
}

#[test]
fn one_that_has_no_last_books_says_so_once_another_has_begun() {
    let books = of(&[batch(1, 1, ledger(1, 0, 0))]);
    assert_eq!(books.balance(false, NOW).reason, "");
    assert!(books.balance(true, NOW).reason.contains("no last books"));
}

#[test]
fn they_are_kept_as_json() {
    let books = of(&[batch(1, 10, ledger(14, 2, 2)), lost(2, 1)]);
    let kept = serde_json::to_vec(&books).expect("JSON");
    assert_eq!(serde_json::from_slice::<Books>(&kept).expect("the same"), books);
}

proptest! {
    /// Batches of one run in any order, some of them several times, some lost, are one sum.
    #[test]
    fn order_and_repetition_do_not_matter(
        sizes in prop::collection::vec((0..50_u64, any::<bool>()), 1..20),
        again in prop::collection::vec(0..20_usize, 0..40),
    ) {
        let mut produced = 0;
        let mut records = Vec::new();
        for (n, (events, is_lost)) in sizes.iter().enumerate() {
            produced += events;
            records.push(match is_lost {
                true => lost(n as u64 + 1, *events),
                false => batch(n as u64 + 1, *events, ledger(produced, 0, 0)),
            });
        }
        records.push(closed(sizes.len() as u64, ledger(produced, 0, 0)));
        let mut books = Books::default();
        for n in again.into_iter().chain(0..records.len()) {
            if let Some(record) = records.get(n) {
                books.count(record, None, NOW);
            }
        }
        let balance = books.balance(false, NOW);
        prop_assert_eq!(balance.state, State::Balanced, "{}", balance.reason);
        let lost: u64 = balance.lost.values().flat_map(Counts::values).sum();
        prop_assert_eq!(balance.stored.values().sum::<u64>() + lost, produced);
    }
}
