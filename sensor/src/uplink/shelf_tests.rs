use proptest::prelude::*;

use super::*;

const HEADER: u64 = 8;

fn segment(id: u64) -> Segment {
    Segment {
        id,
        bytes: HEADER,
        records: 0,
        oldest: 0,
        newest: 0,
        has_only_losses: true,
        is_in_memory: false,
    }
}

fn run() -> RunId {
    RunId { boot_id: "boot".to_owned(), run_id: 1 }
}

/// Tells the next, which is ten bytes long, under a number.
fn tell(shelf: &mut Shelf, number: u64) -> Place {
    let (place, _) = shelf.next().expect("there is one");
    let counts = ByAction::default();
    let told = Told { place, run: run(), number, counts, is_batch: true, cause: None };
    shelf.tell(told, place.offset + 10);
    place
}

#[test]
fn a_segment_is_done_once_all_of_it_is_answered_and_another_one_grows() {
    let mut shelf = Shelf::new(HEADER);
    shelf.add(segment(1));
    shelf.append(10, false, 0);
    shelf.append(10, false, 0);
    tell(&mut shelf, 1);
    tell(&mut shelf, 2);
    assert_eq!(shelf.next(), None);
    shelf.answer(&run(), 1).expect("it was told");
    shelf.answer(&run(), 2).expect("it was told");
    assert_eq!((shelf.done(), shelf.is_last_done()), (None, true));
    shelf.add(segment(2));
    assert_eq!((shelf.done(), shelf.is_last_done()), (Some(1), false));
    shelf.remove(1);
    shelf.append(10, false, 0);
    assert_eq!(tell(&mut shelf, 3), Place { segment: 2, offset: HEADER });
}

#[test]
fn no_more_is_told_than_can_be_remembered() {
    let mut shelf = Shelf::new(HEADER);
    shelf.add(segment(1));
    for number in 0..=MAX_TOLD as u64 {
        shelf.append(10, false, 0);
        if number < MAX_TOLD as u64 {
            tell(&mut shelf, number);
        }
    }
    assert_eq!(shelf.next(), None);
    shelf.answer(&run(), 7).expect("it was told");
    assert!(shelf.next().is_some());
}

#[test]
fn losses_themselves_have_a_limit() {
    let mut shelf = Shelf::new(HEADER);
    let limits = Limits { bytes: 1_000, seconds: 100 };
    for id in 1..=3 {
        shelf.add(segment(id));
        shelf.append(150, true, 0);
    }
    assert_eq!(shelf.surplus(limits, 0, 0), Some(Surplus::Forget(1)));
    shelf.remove(1);
    shelf.remove(2);
    assert_eq!(shelf.surplus(limits, 0, 0), None);
}

proptest! {
    /// Whatever happens, each record is told until it is answered, and then no more.
    #[test]
    fn nothing_is_forgotten(steps in prop::collection::vec((0..4_u8, 0..8_usize), 1..200)) {
        let mut shelf = Shelf::new(HEADER);
        let (mut appended, mut under_way, mut open) = (0_u64, Vec::new(), Vec::new());
        for (step, which) in steps {
            match step {
                0 => {
                    if appended % 5 == 0 {
                        shelf.add(segment(appended / 5 + 1));
                    }
                    shelf.append(10, false, 0);
                    // A record's place says which one it is.
                    open.push(appended);
                    appended += 1;
                }
                1 => if let Some((place, _)) = shelf.next() {
                    let number = (place.segment - 1) * 5 + (place.offset - HEADER) / 10;
                    tell(&mut shelf, number);
                    under_way.push(number);
                },
                2 if !under_way.is_empty() => {
                    let number = under_way.remove(which % under_way.len());
                    prop_assert!(shelf.answer(&run(), number).is_some());
                    open.retain(|it| *it != number);
                    while let Some(id) = shelf.done() {
                        shelf.remove(id);
                    }
                }
                _ => {
                    shelf.end_stream();
                    under_way.clear();
                }
            }
        }
        shelf.end_stream();
        let mut left = Vec::new();
        while let Some((place, _)) = shelf.next() {
            let number = (place.segment - 1) * 5 + (place.offset - HEADER) / 10;
            tell(&mut shelf, number);
            left.push(number);
        }
        prop_assert_eq!(left, open);
    }
}
