use proptest::prelude::*;

use super::*;

fn host() -> Name {
    "web".parse().expect("a name")
}

fn register(session: StreamId) -> Do {
    Do::Register { host: host(), session }
}

fn suspect(is: bool) -> Do {
    Do::Suspect { host: host(), is }
}

fn end(session: StreamId, goodbye: bool) -> Do {
    Do::End { host: host(), session, goodbye }
}

fn twins(instances: &[&str]) -> Do {
    Do::Twins { host: host(), instances: instances.iter().map(|&it| it.to_owned()).collect() }
}

/// One stream of instance `a`.
fn one() -> Sessions {
    let mut sessions = Sessions::default();
    assert_eq!(sessions.hello(&host(), 1, "a".to_owned(), 0), [register(1)]);
    sessions
}

#[test]
fn who_does_not_come_back_is_lost_after_the_grace() {
    let mut sessions = one();
    assert_eq!(sessions.broken(&host(), 1, 100), [suspect(true)]);
    assert!(sessions.advance(5_099, Some(5_099)).is_empty());
    assert_eq!(sessions.advance(5_100, Some(5_100)), [end(1, false)]);
    assert_eq!((sessions.len(), sessions.due.len()), (0, 0));
}

#[test]
fn nobody_is_lost_while_another_replica_may_have_it() {
    let mut sessions = one();
    sessions.broken(&host(), 1, 100);
    assert!(sessions.advance(9_000, None).is_empty());
    assert!(sessions.advance(9_000, Some(5_099)).is_empty() && sessions.is_due(9_000));
    assert_eq!(sessions.advance(9_100, Some(5_100)), [end(1, false)]);
}

#[test]
fn who_was_turned_away_has_time_to_come_again() {
    let mut sessions = one();
    sessions.broken(&host(), 1, 0);
    sessions.waits(&host(), 18_000);
    assert!(sessions.advance(22_999, Some(22_999)).is_empty());
    assert_eq!(sessions.advance(23_000, Some(23_000)), [end(1, false)]);
}

#[test]
fn who_comes_back_is_not() {
    let mut sessions = one();
    sessions.broken(&host(), 1, 100);
    assert_eq!(sessions.hello(&host(), 2, "a".to_owned(), 200), [register(2), suspect(false)]);
    assert!(sessions.advance(60_000, Some(60_000)).is_empty());
    assert!(sessions.broken(&host(), 1, 60_001).is_empty());
    assert_eq!(sessions.of(&host()), Some(2));
}

#[test]
fn who_comes_again_before_the_old_stream_is_known_to_be_broken_is_the_same() {
    let mut sessions = one();
    let todo = sessions.hello(&host(), 2, "a".to_owned(), 1);
    assert_eq!(todo, [register(2), Do::Close { stream: 1 }]);
    assert!(sessions.broken(&host(), 1, 2).is_empty());
}

#[test]
fn who_says_goodbye_is_gone_at_once() {
    assert_eq!(one().goodbye(&host(), 1), [end(1, true)]);
}

#[test]
fn a_copied_disk_makes_twins_and_they_are_told_apart() {
    let mut sessions = one();
    assert_eq!(sessions.hello(&host(), 2, "b".to_owned(), 10), [Do::Probe { stream: 1 }]);
    assert_eq!(sessions.answered(&host(), 1), [twins(&["b"])]);
    // The twin comes back as itself.
    let again = sessions.hello(&host(), 3, "b".to_owned(), 20);
    assert_eq!(again, [Do::Close { stream: 2 }]);
    assert!(sessions.broken(&host(), 2, 30).is_empty());
    assert_eq!(sessions.broken(&host(), 3, 40), [twins(&[])]);
    assert_eq!(sessions.of(&host()), Some(1));
}

#[test]
fn a_machine_that_lost_its_power_is_no_twin_of_itself() {
    let mut sessions = one();
    sessions.hello(&host(), 2, "b".to_owned(), 10);
    assert_eq!(sessions.advance(10_010, Some(10_010)), [register(2), Do::Close { stream: 1 }]);
    let mut sessions = one();
    sessions.hello(&host(), 2, "b".to_owned(), 10);
    assert_eq!(sessions.broken(&host(), 1, 20), [register(2), Do::Close { stream: 1 }]);
}

#[test]
fn when_the_first_is_gone_its_twin_is_the_host() {
    let mut sessions = one();
    sessions.hello(&host(), 2, "b".to_owned(), 10);
    sessions.answered(&host(), 1);
    assert_eq!(sessions.goodbye(&host(), 1), [end(1, true), register(2), twins(&[])]);
}

fn left() -> Do {
    Do::Left { host: host() }
}

#[test]
fn a_twin_at_another_replica_is_no_move() {
    let mut sessions = one();
    assert_eq!(sessions.taken(&host(), "b"), [twins(&["a"])]);
    assert_eq!(sessions.streams(&host()).collect::<Vec<_>>(), [1]);
    // Once the other one is gone, this is the host again.
    assert_eq!(sessions.freed(&host()), [register(1), twins(&[])]);
    assert!(sessions.freed(&host()).is_empty());
    sessions.taken(&host(), "b");
    assert_eq!(sessions.broken(&host(), 1, 10), [left()]);
    assert_eq!(sessions.len(), 0);
}

#[test]
fn who_comes_back_from_another_replica_is_registered_at_once() {
    let mut sessions = one();
    sessions.taken(&host(), "b");
    assert_eq!(sessions.hello(&host(), 2, "b".to_owned(), 10), [register(2), twins(&["a"])]);
    assert!(sessions.broken(&host(), 2, 20).contains(&suspect(true)));
}

#[test]
fn who_goes_to_another_replica_has_time_for_that() {
    let mut sessions = one();
    assert_eq!(sessions.moves(&host(), 1, 0), [suspect(true)]);
    assert!(sessions.broken(&host(), 1, 10).is_empty());
    assert!(sessions.advance(MOVE_MS - 1, Some(MOVE_MS - 1)).is_empty());
    assert_eq!(sessions.taken(&host(), "a"), [left()]);
}

#[test]
fn who_has_moved_is_no_longer_here_and_is_not_ended() {
    let mut sessions = one();
    assert_eq!(sessions.taken(&host(), "a"), [Do::Close { stream: 1 }, left()]);
    assert!(sessions.broken(&host(), 1, 10).is_empty());
    assert!(sessions.advance(100_000, Some(100_000)).is_empty());
}

proptest! {
    /// Whatever happens, a host is registered before it ends, each session ends at most once, and after time
    /// enough without a stream nothing is left.
    #[test]
    fn nobody_ends_twice_or_before_they_began(steps in prop::collection::vec((0..8_u8, 0..8_u64), 0..80)) {
        let (mut sessions, mut now) = (Sessions::default(), 0);
        let (mut open, mut current): (HashMap<StreamId, ()>, Option<StreamId>) = (HashMap::new(), None);
        let mut next = 0;
        for (step, which) in steps {
            now += 700;
            let id = open.keys().copied().min_by_key(|id| id.abs_diff(which));
            let todo = match (step, id) {
                (0 | 1, _) | (_, None) => {
                    next += 1;
                    open.insert(next, ());
                    sessions.hello(&host(), next, ["a", "b", "c"][which as usize % 3].to_owned(), now)
                }
                (5, _) => {
                    current = None;
                    sessions.taken(&host(), ["a", "b", "c"][which as usize % 3])
                }
                (6, _) => sessions.freed(&host()),
                (7, Some(id)) => sessions.moves(&host(), id, now),
                (2, Some(id)) => { open.remove(&id); sessions.broken(&host(), id, now) }
                (3, Some(id)) => { open.remove(&id); sessions.goodbye(&host(), id) }
                (_, Some(id)) => sessions.answered(&host(), id),
            };
            for one in todo.into_iter().chain(sessions.advance(now, Some(now))) {
                match one {
                    Do::Register { session, .. } => current = Some(session),
                    Do::End { session, .. } => prop_assert_eq!(current.take(), Some(session)),
                    Do::Close { stream } => { open.remove(&stream); }
                    _ => {}
                }
            }
            prop_assert_eq!(sessions.of(&host()), current);
        }
        for id in open.keys().copied().collect::<Vec<_>>() {
            sessions.broken(&host(), id, now);
        }
        for _ in 0..4 {
            now += PROBE_MS;
            sessions.advance(now, Some(now));
        }
        prop_assert_eq!(sessions.len(), 0);
    }
}
