use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message as _;
use prost_types::Timestamp;
use wanglou_api::event::v1::Event;
use wanglou_api::event::v1::{EventMeta, Host};
use wanglou_api::sensor::v1::{ClosedRun, LostBatch};

use super::*;

fn event(action: &str, seconds: i64) -> Event {
    Event {
        timestamp: Some(Timestamp { seconds, nanos: 7 }),
        event: Some(EventMeta { action: Some(action.to_owned()), ..EventMeta::default() }),
        host: Some(Host { id: Some("web".to_owned()), ..Host::default() }),
        ..Event::default()
    }
}

fn batch(events: &[Event]) -> Batch {
    let content: Vec<u8> = events.iter().flat_map(Event::encode_length_delimited_to_vec).collect();
    packed(&content, events.iter().filter_map(|it| it.event.as_ref()?.action.clone()))
}

fn packed(content: &[u8], actions: impl Iterator<Item = String>) -> Batch {
    let mut counts = BTreeMap::new();
    for action in actions.filter(|action| action != "ledger") {
        *counts.entry(action).or_default() += 1;
    }
    Batch {
        run: Some(RunId { boot_id: "8f0b3a3e-0000-4000-8000-000000000001".to_owned(), run_id: 5 }),
        number: 1,
        events: zstd::bulk::compress(content, 1).expect("it packs"),
        content_bytes: content.len() as u32,
        counts,
        ledger: Some(BatchLedger::default()),
    }
}

fn why(batch: Batch) -> String {
    check(&Record::Batch(batch), "web").expect_err("it is refused").to_string()
}

#[test]
fn an_honest_batch_is_what_it_says() {
    let batch = batch(&[event("exec", 9), event("ledger", 12), event("fork", 8)]);
    let content = check(&Record::Batch(batch), "web").expect("it is fine").expect("events");
    assert_eq!(content.times(), Some((8_000_000_007, 12_000_000_007)));
    assert_eq!(content.len(), 3);
}

#[test]
fn who_lies_is_refused() {
    let honest = batch(&[event("exec", 9)]);
    let two = batch(&[event("exec", 9), event("exec", 9)]);
    for (batch, reason) in [
        (
            Batch { counts: two.counts.clone(), ..honest.clone() },
            "the batch says 2 of exec, and has 1",
        ),
        (
            Batch { content_bytes: 5, ..honest.clone() },
            "the content is not a Zstandard frame of 5 bytes",
        ),
        (
            Batch { content_bytes: MAX_CONTENT + 1, ..honest.clone() },
            "content_bytes: 1048577 is not between 1 and 1048576",
        ),
        (Batch { ledger: None, ..honest.clone() }, "ledger: it is missing"),
    ] {
        assert_eq!(why(batch), reason);
    }
    let of_another = check(&Record::Batch(honest), "db").expect_err("it is another's");
    assert_eq!(of_another.to_string(), "events of host \"web\", told by \"db\"");
}

#[test]
fn what_unpacks_to_gigabytes_is_never_unpacked() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).expect("it packs");
    let honest = batch(&[event("exec", 9)]);
    // It says its size.
    let said = Batch { events: bomb.clone(), content_bytes: 64 << 20, ..honest.clone() };
    assert!(why(said).starts_with("content_bytes"));
    let lied = Batch { events: bomb, content_bytes: 1_000, ..honest.clone() };
    assert_eq!(why(lied), "the content is not a Zstandard frame of 1000 bytes");
    // A second frame behind the first is more than was said.
    let mut two = honest.events.to_vec();
    two.extend_from_slice(&honest.events);
    assert!(why(Batch { events: two, ..honest }).contains("not a Zstandard frame"));
}

#[test]
fn names_are_names() {
    let mut honest = batch(&[event("exec", 9)]);
    honest.counts.insert("<script>".to_owned(), 0);
    assert_eq!(why(honest), "counts: names have 1 to 64 bytes of a to z and _");
    let cause = "it was like this".to_owned();
    let lost = LostBatch { cause, ..LostBatch::default() };
    assert!(check(&Record::LostBatch(lost), "web").is_err());
    let many = (0..65).map(|n| ("a".repeat(n % 64 + 1) + &"b".repeat(n / 64), 0)).collect();
    let closed = BatchLedger { produced: many, ..BatchLedger::default() };
    let closed = ClosedRun { ledger: Some(closed), ..ClosedRun::default() };
    assert!(check(&Record::ClosedRun(closed), "web").is_err());
}

#[test]
fn a_record_says_which_it_is() {
    let honest = batch(&[event("exec", 9)]);
    assert_eq!(id(&Record::Batch(honest.clone())).map(|id| id.number), Ok(1));
    let run = Some(RunId { boot_id: "no".to_owned(), run_id: 1 });
    for batch in [
        Batch { run: None, ..honest.clone() },
        Batch { number: 0, ..honest.clone() },
        Batch { run, ..honest },
    ] {
        assert!(id(&Record::Batch(batch)).is_err());
    }
}

proptest! {
    /// Whatever stands in a batch, it is refused or read.
    #[test]
    fn nothing_makes_it_panic(content: Vec<u8>, junk in prop::collection::vec(any::<u8>(), 0..200)) {
        let honest = packed(&content, std::iter::empty());
        let _ = check(&Record::Batch(honest.clone()), "web");
        let _ = check(&Record::Batch(Batch { events: junk, ..honest }), "web");
    }
}
