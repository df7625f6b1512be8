use proptest::prelude::*;
use wanglou_api::sensor::v1::publish_request::Record as Told;
use wanglou_api::sensor::v1::{ActionCounts, BatchLedger, PublishRequest};

use super::*;

pub(crate) fn batch(number: u64, forks: u64) -> Head {
    let counts: BTreeMap<_, _> = [("fork".to_owned(), forks)].into();
    let run = Some(RunId { boot_id: "boot".to_owned(), run_id: 7 });
    Head::Batch(Batch { run, number, counts, ..Batch::default() })
}

fn whole(head: &Head, events: &[u8]) -> Vec<u8> {
    [&head.write(events), events].concat()
}

#[test]
fn what_is_told_is_a_request_with_the_batch_and_its_events() {
    let head = batch(3, 5);
    for events in [&b""[..], b"events", &[7; 100_000]] {
        let bytes = whole(&head, events);
        let record = Record::parse(&bytes).expect("a record");
        assert_eq!((record.bytes, &record.head), (bytes.len(), &head));
        let told = PublishRequest::decode(record.told.expect("it is whole")).expect("a request");
        let Some(Told::Batch(batch)) = told.record else { panic!("{told:?}") };
        assert_eq!((batch.number, &batch.events[..]), (3, events));
    }
    let lost = head.lost(Cause::SpoolFull);
    let told = PublishRequest::decode(lost.told().expect("it is whole")).expect("a request");
    let Some(Told::LostBatch(told)) = told.record else { panic!("{told:?}") };
    assert_eq!((told.number, told.counts["fork"], &told.cause[..]), (3, 5, "spool_full"));
}

#[test]
fn of_damaged_events_it_is_known_what_was_in_them() {
    let mut bytes = whole(&batch(3, 5), b"events");
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    let record = Record::parse(&bytes).expect("its head is whole");
    assert_eq!((record.told, record.head.counts()[Action::Fork as usize]), (None, 5));
    bytes[PREFIX] ^= 1;
    assert_eq!(Record::parse(&bytes), None);
}

#[test]
fn the_next_one_is_found_after_one_that_is_damaged() {
    let (mut first, second) = (whole(&batch(1, 1), b"WLR1 WLR1"), whole(&batch(2, 1), b"x"));
    let at = first.len();
    first[PREFIX + 1] ^= 1;
    let both = [first, second].concat();
    assert_eq!((Record::parse(&both), Record::find(&both)), (None, Some(at)));
    assert_eq!(Record::find(&both[at..]), None);
}

#[test]
fn the_books_of_a_batch_say_how_many_events_there_were_so_far() {
    let counts = |n: u64| -> BTreeMap<_, _> { [("fork".to_owned(), n)].into() };
    let dropped = [("ring_full".to_owned(), ActionCounts { counts: counts(3) })].into();
    let ledger = BatchLedger { produced: counts(10), dropped, in_flight: counts(2) };
    let of = |ledger| Head::Batch(Batch { ledger: Some(ledger), ..Batch::default() });
    let so_far = of(ledger.clone()).events_so_far().expect("books");
    assert_eq!(so_far[Action::Fork as usize], 5);
    assert_eq!(of(BatchLedger { in_flight: counts(9), ..ledger }).events_so_far(), None);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..40_usize) {
        let mut whole = whole(&batch(1, 1), b"events");
        Record::parse(&bytes);
        Record::find(&bytes);
        for (to, from) in whole[at..].iter_mut().zip(bytes) {
            *to = from;
        }
        Record::parse(&whole);
        Record::find(&whole);
    }
}
