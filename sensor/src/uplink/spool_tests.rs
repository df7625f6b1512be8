use std::fs;

use wanglou_api::sensor::v1::{ActionCounts, Batch, BatchLedger, ClosedRun};

use super::*;
use crate::action::Action;

const LIMITS: Limits = Limits { bytes: 64 << 20, seconds: 86_400 };
const NOW: u64 = 1_000_000;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("wanglou-spool-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self, limits: Limits) -> (Spool, Found) {
        Spool::open(self.0.clone(), limits, NOW)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run() -> RunId {
    RunId { boot_id: "boot".to_owned(), run_id: 7 }
}

/// One with ten forks and so many bytes of events, and the books to it.
fn batch(number: u64, events: usize) -> (Head, Vec<u8>) {
    let counts = |forks: u64| -> BTreeMap<_, _> { [("fork".to_owned(), forks)].into() };
    let dropped = [("ring_full".to_owned(), ActionCounts { counts: counts(1) })].into();
    let produced = counts(10 * number + 3);
    let ledger = Some(BatchLedger { produced, dropped, in_flight: counts(2) });
    let (run, counts) = (Some(run()), counts(10));
    let head = Head::Batch(Batch { run, number, counts, ledger, ..Batch::default() });
    let events = vec![7; events];
    let record = [head.write(&events), events].concat();
    (head, record)
}

fn put(spool: &mut Spool, numbers: std::ops::RangeInclusive<u64>, events: usize) -> Vec<Lost> {
    let mut lost = Vec::new();
    for number in numbers {
        let (head, record) = batch(number, events);
        spool.append(&head, &record, NOW, &mut lost);
    }
    lost
}

/// All that can be told now without an answer.
fn told(spool: &mut Spool, lost: &mut Vec<Lost>) -> Vec<u64> {
    std::iter::from_fn(|| spool.next(NOW, lost)).map(|telling| telling.number).collect()
}

fn forks(lost: &[Lost]) -> u64 {
    lost.iter().map(|(_, counts, _)| counts[Action::Fork as usize]).sum()
}

#[test]
fn what_is_stored_takes_no_room() {
    let folder = Folder::new("stored");
    let (mut spool, _) = folder.open(LIMITS);
    assert!(put(&mut spool, 1..=30, 100_000).is_empty());
    assert!(spool.shelf().segments().count() >= 3);
    assert_eq!(told(&mut spool, &mut Vec::new()), (1..=30).collect::<Vec<_>>());
    for number in (1..=30).rev() {
        assert!(spool.stored(&run(), number).is_some_and(|told| told.is_batch));
        assert_eq!(spool.stored(&run(), number), None, "an answer counts once");
    }
    assert!(spool.shelf().is_settled());
    assert_eq!(spool.shelf().totals(), (HEADER.len() as u64, 0));
    assert!(put(&mut spool, 31..=31, 10).is_empty());
    assert_eq!(told(&mut spool, &mut Vec::new()), [31]);
}

#[test]
fn what_has_no_answer_is_told_again_and_first() {
    let folder = Folder::new("again");
    let (mut spool, _) = folder.open(LIMITS);
    put(&mut spool, 1..=4, 10);
    assert_eq!(told(&mut spool, &mut Vec::new()), [1, 2, 3, 4]);
    spool.stored(&run(), 2);
    put(&mut spool, 5..=5, 10);
    spool.end_stream();
    assert_eq!(told(&mut spool, &mut Vec::new()), [1, 3, 4, 5]);
}

#[test]
fn what_lies_there_is_told_after_a_restart() {
    let folder = Folder::new("restart");
    let (mut spool, _) = folder.open(LIMITS);
    put(&mut spool, 1..=20, 100_000);
    drop(spool);
    let last = fs::read_dir(&folder.0).expect("a folder").flatten().map(|it| it.path());
    let last = last.filter(|it| it.extension().is_some_and(|it| it == "spool")).max();
    let last = last.expect("a segment");
    let mut bytes = fs::read(&last).expect("a segment");
    let whole = bytes.len();
    bytes.extend_from_slice(&batch(21, 50).1[..40]);
    fs::write(&last, bytes).expect("a disk");

    let (mut spool, found) = folder.open(LIMITS);
    let (number, so_far) = found[&("boot".to_owned(), 7)];
    assert_eq!((number, so_far.expect("books")[Action::Fork as usize]), (20, 200));
    assert_eq!(fs::metadata(&last).expect("a segment").len(), whole as u64, "the torn end is cut");
    assert_eq!(told(&mut spool, &mut Vec::new()), (1..=20).collect::<Vec<_>>());
}

#[test]
fn the_oldest_becomes_lost_where_there_is_no_room() {
    let folder = Folder::new("full");
    let (mut spool, _) = folder.open(Limits { bytes: 4 << 20, ..LIMITS });
    let lost = put(&mut spool, 1..=80, 100_000);
    let full = lost.iter().filter(|(_, _, cause)| *cause == Cause::SpoolFull).count() as u64;
    assert!(full > 30 && full == lost.len() as u64, "{full} are lost");
    assert!(spool.shelf().totals().0 <= (4 << 20) + 1);
    let (mut batches, mut losses) = (0, 0);
    while let Some(telling) = spool.next(NOW, &mut Vec::new()) {
        assert_eq!(telling.number, batches + losses + 1, "in their order");
        if telling.bytes.len() > 1_000 {
            batches += 1;
        } else {
            losses += 1;
        }
        let told = spool.stored(&run(), telling.number).expect("it was told");
        assert_eq!(told.is_batch, telling.bytes.len() > 1_000);
    }
    assert_eq!((batches + losses, losses), (80, full));
}

#[test]
fn what_is_under_way_is_not_given_up() {
    let folder = Folder::new("under-way");
    let (mut spool, _) = folder.open(Limits { bytes: 4 << 20, ..LIMITS });
    put(&mut spool, 1..=2, 100_000);
    assert_eq!(told(&mut spool, &mut Vec::new()), [1, 2]);
    put(&mut spool, 3..=80, 100_000);
    assert!(spool.stored(&run(), 1).is_some_and(|told| told.is_batch && told.cause.is_none()));
    spool.end_stream();
    let lost = put(&mut spool, 81..=90, 100_000);
    assert!(lost.iter().all(|(_, counts, _)| counts[Action::Fork as usize] == 10));
    let all = told(&mut spool, &mut Vec::new());
    assert_eq!(all, (2..=90).collect::<Vec<_>>(), "what is stored is not told again");
}

#[test]
fn what_is_too_old_is_lost() {
    let folder = Folder::new("old");
    let (mut spool, _) = folder.open(Limits { seconds: 100, ..LIMITS });
    put(&mut spool, 1..=3, 10);
    let mut lost = Vec::new();
    spool.look(NOW + 100, &mut lost);
    assert!(lost.is_empty());
    spool.look(NOW + 101, &mut lost);
    assert_eq!((forks(&lost), lost[0].2), (30, Cause::SpoolExpired));
    assert_eq!(told(&mut spool, &mut Vec::new()), [1, 2, 3]);
}

#[test]
fn a_refused_batch_is_told_as_lost() {
    let folder = Folder::new("refused");
    let (mut spool, _) = folder.open(LIMITS);
    put(&mut spool, 1..=2, 1_000);
    told(&mut spool, &mut Vec::new());
    assert!(spool.refused(&run(), 1).is_some());
    let telling = spool.next(NOW, &mut Vec::new()).expect("it is told as lost");
    assert!(telling.number == 1 && telling.bytes.len() < 200);
    assert!(spool.refused(&run(), 1).is_none(), "that is not lost twice");
    spool.stored(&run(), 2);
    assert!(spool.shelf().is_settled());
}

#[test]
fn the_end_of_a_run_waits_for_the_rest_of_it() {
    let folder = Folder::new("closed");
    let (mut spool, _) = folder.open(LIMITS);
    put(&mut spool, 1..=2, 10);
    let head = Head::Closed(ClosedRun { run: Some(run()), last_number: 2, ledger: None });
    spool.append(&head, &head.write(&[]), NOW, &mut Vec::new());
    assert_eq!(told(&mut spool, &mut Vec::new()), [1, 2]);
    spool.stored(&run(), 2);
    assert!(told(&mut spool, &mut Vec::new()).is_empty());
    spool.stored(&run(), 1);
    assert_eq!(told(&mut spool, &mut Vec::new()), [0]);
    spool.stored(&run(), 0);
    assert!(spool.shelf().is_settled());
}

#[test]
fn a_damaged_record_is_told_as_lost() {
    for in_the_head in [false, true] {
        let folder = Folder::new(if in_the_head { "head" } else { "events" });
        let (mut spool, _) = folder.open(LIMITS);
        put(&mut spool, 1..=4, 1_000);
        let path = folder.0.join("0000000000000001.spool");
        let mut bytes = fs::read(&path).expect("a segment");
        let second = HEADER.len() + batch(1, 1_000).1.len();
        let at = if in_the_head { second + PREFIX } else { second + batch(2, 1_000).1.len() - 1 };
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("a disk");
        // It is the same file, which is open.
        let mut lost = Vec::new();
        let mut all = told(&mut spool, &mut lost);
        all.sort_unstable();
        assert_eq!((all, forks(&lost), lost.len()), (vec![1, 2, 3, 4], 10, 1));
    }
}

#[test]
fn what_lies_there_is_found_once_the_folder_is_free() {
    let folder = Folder::new("taken");
    let (mut first, _) = folder.open(LIMITS);
    put(&mut first, 1..=20, 100_000);
    let (mut second, found) = folder.open(LIMITS);
    assert!(second.is_failing() && found.is_empty());
    put(&mut second, 21..=22, 10);
    assert!(second.look(NOW + RETRY, &mut Vec::new()).is_none(), "somebody has it");
    drop(first);
    let found = second.look(NOW + 2 * RETRY, &mut Vec::new()).expect("it is free");
    assert_eq!(found.len(), 1);
    let mut all = told(&mut second, &mut Vec::new());
    all.sort_unstable();
    assert_eq!(all, (1..=22).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_takes_nothing_is_not_the_end() {
    let folder = Folder::new("no-disk");
    fs::write(&folder.0, "no folder").expect("a disk");
    let (mut spool, _) = folder.open(LIMITS);
    assert!(spool.is_failing());
    let lost = put(&mut spool, 1..=20, 100_000);
    let full = lost.len() as u64;
    assert!((9..=11).contains(&full), "{full} are lost");
    fs::remove_file(&folder.0).expect("ours");
    spool.look(NOW + RETRY, &mut Vec::new());
    assert!(!spool.is_failing());
    put(&mut spool, 21..=22, 10);
    drop(spool);
    let (mut spool, _) = folder.open(LIMITS);
    assert_eq!(told(&mut spool, &mut Vec::new()), (1..=22).collect::<Vec<_>>());
}
