use super::*;
use crate::truth::Record;

const SECOND: u64 = 1_000_000_000;
const ALLOWED: Allowed = Allowed {
    lag: Duration::from_secs(1),
    death: Duration::from_secs(30),
    arrival: Duration::from_secs(2),
};

fn welcomed() -> Event {
    Event::Welcomed { replica: "one".to_owned() }
}

/// Findings for one host, of times in seconds; watching ends at 1,000.
fn found(events: &[(u64, Event)], said: &[(u64, State)]) -> Vec<(Kind, u64)> {
    let host = "a".to_owned();
    let record = |(at, event): &(u64, Event)| Record {
        at: at * SECOND,
        host: host.clone(),
        event: event.clone(),
    };
    let observation =
        |&(at, state): &(u64, State)| Observation { at: at * SECOND, host: host.clone(), state };
    let truth = Truth::of(events.iter().map(record).collect());
    let said: Vec<_> = said.iter().map(observation).collect();
    let findings = check(&truth, &said, 1_000 * SECOND, ALLOWED);
    findings.0.into_iter().map(|it| (it.kind, it.at / SECOND)).collect()
}

#[test]
fn what_is_true_and_in_time_is_no_finding() {
    let events = [(1, welcomed()), (100, Event::Cut), (200, welcomed()), (300, Event::Goodbye)];
    let said = [
        (2, State::There),
        (101, State::Suspect),
        (106, State::Lost),
        // It came back a moment before.
        (200, State::Lost),
        (201, State::There),
        (300, State::Gone),
    ];
    assert_eq!(found(&events, &said), []);
}

#[test]
fn one_who_calls_again_is_not_lost() {
    let events = [(1, welcomed()), (100, Event::Broken), (150, welcomed())];
    let unknown =
        [(2, State::There), (101, State::Suspect), (110, State::Unknown), (151, State::There)];
    assert_eq!(found(&events, &unknown), []);
    let lost = [(2, State::There), (101, State::Suspect), (110, State::Lost), (151, State::There)];
    assert_eq!(found(&events, &lost), [(Kind::FalseLoss, 110)]);
}

#[test]
fn the_dead_are_not_there_for_long_and_not_again() {
    let events = [(1, welcomed()), (100, Event::Silent)];
    assert_eq!(found(&events, &[(2, State::There)]), [(Kind::AliveTooLong, 130)]);
    let again = [(2, State::There), (120, State::Lost), (140, State::There), (141, State::Lost)];
    assert_eq!(found(&events, &again), [(Kind::AliveTooLong, 140)]);
}

#[test]
fn silence_that_ends_on_the_same_stream_is_life() {
    let events = [(1, welcomed()), (100, Event::Silent), (105, Event::Back { connected: true })];
    assert_eq!(found(&events, &[(2, State::There)]), []);
    let lost = [(2, State::There), (120, State::Lost), (130, State::There)];
    assert_eq!(found(&events, &lost), [(Kind::FalseLoss, 120)]);
}

#[test]
fn whoever_is_there_is_said_to_be() {
    let events = [(1, welcomed()), (100, Event::Cut), (200, welcomed())];
    assert_eq!(found(&events, &[(100, State::Lost)]), [(Kind::Missed, 3), (Kind::Missed, 202)]);
    // Too short to be seen.
    let events = [(1, welcomed()), (2, Event::Cut)];
    assert_eq!(found(&events, &[]), []);
}

#[test]
fn nobody_is_there_who_never_was() {
    let said = [Observation { at: 1, host: "ghost".to_owned(), state: State::There }];
    let findings = check(&Truth::default(), &said, 10, ALLOWED);
    assert_eq!(findings.count(Kind::AliveTooLong), 1, "{findings}");
}
