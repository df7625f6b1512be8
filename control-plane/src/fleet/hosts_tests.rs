use proptest::prelude::*;

use super::*;

fn host() -> Name {
    "web".parse().expect("a name")
}

fn live(session: u64) -> Changes {
    let replica = "one".parse().expect("a name");
    let live = Live { replica, session, instance: "a".into(), since: 0, revision: 1 };
    Changes { live: vec![(host(), Some(live))], ..Changes::default() }
}

fn deleted() -> Changes {
    Changes { live: vec![(host(), None)], ..Changes::default() }
}

fn ended(session: u64, goodbye: bool) -> Changes {
    Changes { ends: vec![(host(), Some(End { session, goodbye, time: 0 }))], ..deleted() }
}

fn presence(hosts: &Hosts) -> Option<Presence> {
    Some(hosts.get(&host())?.presence())
}

#[test]
fn an_end_that_is_written_is_believed_at_once() {
    for (goodbye, wanted) in [(true, Presence::Gone), (false, Presence::Lost)] {
        let mut hosts = Hosts::default();
        assert_eq!(hosts.apply(live(1), 0), [host()]);
        assert_eq!(hosts.apply(ended(1, goodbye), 5), [host()]);
        assert_eq!(presence(&hosts), Some(wanted));
    }
}

#[test]
fn who_goes_with_a_replica_is_unknown_first() {
    let mut hosts = Hosts::default();
    hosts.apply(live(1), 0);
    hosts.apply(deleted(), 1_000);
    assert_eq!(presence(&hosts), Some(Presence::Unknown));
    assert!(hosts.advance(90_999).is_empty());
    assert_eq!(hosts.advance(91_000), [host()]);
    assert_eq!(presence(&hosts), Some(Presence::Lost));
    hosts.apply(live(2), 92_000);
    assert_eq!(presence(&hosts), Some(Presence::Alive));
}

#[test]
fn the_end_of_an_older_stream_is_not_this_ones() {
    let mut hosts = Hosts::default();
    hosts.apply(live(1), 0);
    hosts.apply(ended(1, true), 1);
    hosts.apply(live(2), 2);
    hosts.apply(deleted(), 3);
    assert_eq!(presence(&hosts), Some(Presence::Unknown));
}

#[test]
fn nobody_is_lost_while_etcd_does_not_answer() {
    let mut hosts = Hosts::default();
    hosts.apply(live(1), 0);
    hosts.apply(deleted(), 0);
    hosts.see(false, 10_000);
    assert!(hosts.advance(1_000_000).is_empty());
    hosts.see(true, 1_000_000);
    assert!(hosts.advance(1_089_999).is_empty());
    assert_eq!(hosts.advance(1_090_000), [host()]);
}

#[test]
fn a_replica_that_begins_calls_nobody_lost_of_whom_it_knows_nothing() {
    let mut hosts = Hosts::default();
    hosts.apply(Changes { ends: vec![(host(), None)], ..Changes::default() }, 0);
    assert_eq!(presence(&hosts), Some(Presence::Unknown));
    let mut hosts = Hosts::default();
    let end = End { session: 4, goodbye: true, time: 0 };
    hosts.apply(Changes { ends: vec![(host(), Some(end))], ..Changes::default() }, 0);
    assert_eq!(presence(&hosts), Some(Presence::Gone));
}

#[test]
fn who_is_forgotten_is_no_more() {
    let mut hosts = Hosts::default();
    hosts.apply(live(1), 0);
    let forgotten = Changes { records: vec![(host(), None)], ..Changes::default() };
    hosts.apply(forgotten.clone(), 1);
    assert_eq!(presence(&hosts), Some(Presence::Alive));
    hosts.apply(deleted(), 2);
    hosts.apply(forgotten, 3);
    assert_eq!((presence(&hosts), hosts.unknown.len()), (None, 0));
}

#[test]
fn what_was_missed_is_made_up_for() {
    let mut hosts = Hosts::default();
    hosts.apply(live(1), 0);
    let record = Record { first_seen: 7, ..Record::default() };
    let all = Changes { records: vec![(host(), Some(record.clone()))], ..Changes::default() };
    assert!(hosts.begin_again(all.clone(), 1).contains(&host()));
    assert_eq!(presence(&hosts), Some(Presence::Unknown));
    assert_eq!(hosts.get(&host()).map(Entry::record), Some(&record));
    let mut ended = ended(1, true);
    ended.live.clear();
    hosts.begin_again(Changes { records: all.records, ..ended }, 2);
    assert_eq!(presence(&hosts), Some(Presence::Gone));
    hosts.begin_again(Changes::default(), 3);
    assert_eq!(presence(&hosts), None);
}

proptest! {
    /// Whatever comes in whatever order, a host with a live key is alive, and nobody else is.
    #[test]
    fn alive_is_who_has_a_live_key(steps in prop::collection::vec(0..6_u8, 0..60)) {
        let (mut hosts, mut now, mut is_live) = (Hosts::default(), 0, false);
        for (n, step) in steps.into_iter().enumerate() {
            now += 20_000;
            let session = n as u64;
            match step {
                0 | 1 => { hosts.apply(live(session), now); is_live = true; }
                2 => { hosts.apply(deleted(), now); is_live = false; }
                3 => { hosts.apply(ended(session, false), now); is_live = false; }
                4 => hosts.see(session.is_multiple_of(2), now),
                _ => { hosts.advance(now); }
            }
            let seen = presence(&hosts);
            prop_assert_eq!(seen == Some(Presence::Alive), is_live);
            prop_assert_eq!(hosts.unknown.len(), usize::from(seen == Some(Presence::Unknown)));
        }
    }
}
