use proptest::prelude::*;

use super::*;

fn host(n: u8) -> Name {
    format!("host-{n}").parse().expect("a name")
}

fn here(session: u64) -> Here {
    Here { session, instance: "a".to_owned(), serial: "1".to_owned(), since: String::new() }
}

fn ended(session: u64) -> Ended {
    Ended { session, goodbye: true, time: String::new() }
}

fn with_lease() -> Placement {
    let mut placement = Placement::new(10);
    placement.granted(7);
    placement
}

/// Commits all of a batch at a revision.
fn commit(placement: &mut Placement, revision: i64) -> Vec<Change> {
    let batch = placement.take(120);
    let outcomes = vec![Outcome::Done(revision); batch.len()];
    assert!(placement.done(batch.clone(), &outcomes).is_empty());
    batch
}

#[test]
fn a_host_is_registered_once_there_is_a_lease() {
    let mut placement = Placement::new(10);
    placement.here(&host(1), here(1));
    assert!(placement.take(120).is_empty());
    assert_eq!(placement.missing_leases(), 1);
    placement.granted(7);
    assert_eq!(placement.missing_leases(), 0);
    let wanted = Change::Register { host: host(1), here: here(1), lease: 7 };
    assert_eq!(commit(&mut placement, 3), [wanted]);
    assert!(placement.is_settled() && placement.take(120).is_empty());
}

#[test]
fn it_is_ended_where_it_was_written_and_its_room_is_free_again() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    commit(&mut placement, 3);
    placement.ended(&host(1), ended(1));
    let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
    assert_eq!(commit(&mut placement, 4), [wanted]);
    assert!(placement.is_settled());
    placement.granted(8);
    assert_eq!(placement.take_empty_leases().len(), 1);
}

#[test]
fn who_comes_and_goes_in_between_is_not_written() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    placement.ended(&host(1), ended(1));
    assert!(placement.take(120).is_empty() && placement.is_settled());
}

#[test]
fn who_has_no_stream_any_more_is_not_registered() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    placement.away(&host(1));
    assert!(placement.take(120).is_empty());
    placement.here(&host(1), here(2));
    assert_eq!(commit(&mut placement, 3).len(), 1);
    // What is there already is repaired: that takes nothing from anybody.
    placement.away(&host(1));
    placement.vanished(&host(1), 5);
    let wanted = Change::Repair { host: host(1), here: here(2), lease: 7, ours: vec![7] };
    assert_eq!(commit(&mut placement, 6), [wanted]);
}

#[test]
fn a_key_is_ours_on_every_lease_on_which_it_may_be() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    commit(&mut placement, 3);
    // Somebody says so, and it may not be true.
    placement.lost(7);
    placement.granted(8);
    let batch = placement.take(120);
    let wanted = Change::Repair { host: host(1), here: here(1), lease: 8, ours: vec![8, 7] };
    assert_eq!(batch, std::slice::from_ref(&wanted));
    placement.failed(&batch);
    let batch = placement.take(120);
    assert_eq!(batch, [wanted]);
    placement.failed(&batch);
    placement.ended(&host(1), ended(1));
    let wanted = Change::End { host: host(1), ours: vec![8, 7], ended: ended(1) };
    assert_eq!(commit(&mut placement, 4), [wanted]);
}

#[test]
fn a_key_of_ours_that_nobody_wants_is_withdrawn() {
    let mut placement = with_lease();
    placement.withdraw(&host(1), 3);
    let wanted = Change::Withdraw { host: host(1), revision: 3 };
    assert_eq!(commit(&mut placement, 4), [wanted]);
    assert!(placement.is_settled());
    // Who is here is none of those.
    placement.here(&host(1), here(1));
    commit(&mut placement, 5);
    placement.withdraw(&host(1), 5);
    assert!(placement.is_settled() && placement.take(120).is_empty());
}

#[test]
fn what_ends_is_the_stream_that_is_written() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    commit(&mut placement, 3);
    placement.here(&host(1), here(2));
    placement.ended(&host(1), ended(2));
    let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
    assert_eq!(commit(&mut placement, 4), [wanted]);
    assert!(placement.is_settled() && placement.take_dropped().is_empty());
}

#[test]
fn what_happens_meanwhile_comes_after() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    let first = placement.take(120);
    placement.ended(&host(1), ended(1));
    assert!(placement.take(120).is_empty() && !placement.is_settled());
    placement.done(first, &[Outcome::Done(3)]);
    let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
    assert_eq!(commit(&mut placement, 4), [wanted]);
}

#[test]
fn a_key_that_vanished_is_repaired_and_who_moved_is_let_go() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    commit(&mut placement, 3);
    // What was deleted before we wrote is another one's.
    placement.vanished(&host(1), 2);
    assert!(placement.take(120).is_empty());
    placement.vanished(&host(1), 5);
    let batch = placement.take(120);
    assert_eq!(batch, [Change::Repair { host: host(1), here: here(1), lease: 7, ours: vec![7] }]);
    assert_eq!(placement.done(batch, &[Outcome::Taken]), [host(1)]);
    assert!(placement.is_settled());
}

#[test]
fn who_was_on_a_lost_lease_is_put_on_another() {
    let mut placement = with_lease();
    for n in 0..3 {
        placement.here(&host(n), here(1));
    }
    assert_eq!(commit(&mut placement, 3).len(), 3);
    placement.lost(7);
    assert_eq!((placement.take(120).len(), placement.missing_leases()), (0, 1));
    placement.granted(8);
    let batch = commit(&mut placement, 4);
    assert_eq!(batch.len(), 3);
    assert!(batch.iter().all(|it| matches!(it, Change::Repair { lease: 8, .. })));
}

#[test]
fn what_may_have_been_written_is_ended_too() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    let batch = placement.take(120);
    placement.ended(&host(1), ended(1));
    placement.failed(&batch);
    let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
    assert_eq!(commit(&mut placement, 3), [wanted]);
    assert!(placement.is_settled());
}

#[test]
fn what_failed_is_due_again() {
    let mut placement = with_lease();
    placement.here(&host(1), here(1));
    let batch = placement.take(120);
    placement.failed(&batch);
    assert_eq!(commit(&mut placement, 3), batch);
}

proptest! {
    /// Whatever happens in whatever order, in the end etcd says what is wanted, and nothing is left to do.
    #[test]
    fn it_ends_as_wanted(steps in prop::collection::vec((0..7_u8, 0..4_u8), 0..120)) {
        let mut placement = Placement::new(2);
        let (mut etcd, mut wanted) = (HashMap::new(), HashMap::new());
        let (mut revision, mut session, mut lease) = (1_i64, 0_u64, 0_i64);
        let mut open: Vec<Vec<Change>> = Vec::new();
        let apply = |placement: &mut Placement, etcd: &mut HashMap<Name, (u64, LeaseId)>, batch: Vec<Change>, revision: &mut i64| {
            *revision += 1;
            let outcomes: Vec<_> = batch.iter().map(|change| match change {
                Change::Register { host, here, lease } => { etcd.insert(host.clone(), (here.session, *lease)); Outcome::Done(*revision) }
                Change::Repair { host, .. } if etcd.contains_key(host) => Outcome::Taken,
                Change::Repair { host, here, lease, .. } => { etcd.insert(host.clone(), (here.session, *lease)); Outcome::Done(*revision) }
                Change::End { host, ours, .. } if etcd.get(host).is_some_and(|it| ours.contains(&it.1)) => { etcd.remove(host); Outcome::Done(*revision) }
                Change::End { .. } | Change::Withdraw { .. } => Outcome::Taken,
            }).collect();
            placement.done(batch, &outcomes)
        };
        for (step, n) in steps {
            match step {
                0 | 1 => { session += 1; placement.here(&host(n), here(session)); wanted.insert(host(n), session); }
                2 => if let Some(session) = wanted.remove(&host(n)) { placement.ended(&host(n), ended(session)); },
                3 => open.push(placement.take(3)),
                4 => if let Some(batch) = open.pop() { apply(&mut placement, &mut etcd, batch, &mut revision); },
                // Nobody knows whether it has been committed: it was, or it was not.
                5 => if let Some(batch) = open.pop() {
                    if n % 2 == 0 {
                        let mut twin = Placement::new(2);
                        apply(&mut twin, &mut etcd, batch.clone(), &mut revision);
                    }
                    placement.failed(&batch);
                },
                _ => if etcd.remove(&host(n)).is_some() { revision += 1; placement.vanished(&host(n), revision); },
            }
        }
        for batch in open {
            apply(&mut placement, &mut etcd, batch, &mut revision);
        }
        for _ in 0..20 {
            for _ in 0..placement.missing_leases() {
                lease += 1;
                placement.granted(lease);
            }
            let batch = placement.take(3);
            apply(&mut placement, &mut etcd, batch, &mut revision);
        }
        prop_assert!(placement.is_settled());
        let seen: HashMap<_, _> = etcd.into_iter().map(|(host, (session, _))| (host, session)).collect();
        prop_assert_eq!(seen, wanted);
    }
}
