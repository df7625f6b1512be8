//! What the two halves say to each other: JSON, a line each, one answer to every ask.

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a host behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Not there: a connection that it has is closed without a word.
    Away,
    /// As a sensor does.
    Well,
    /// Neither reads nor writes, and keeps its socket.
    Silent,
    /// Reads one message a second.
    Slow,
    /// Well for up to two seconds, then its connection breaks and it calls again within a second.
    Flapping,
    /// Well, and besides says what is false, for others, malformed or too much, once a second.
    Lying,
    /// Says goodbye and is away.
    Goodbye,
}

/// Who all of them are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Their fleet.
    pub fleet: String,
    /// The folder of the authority that issues their certificates.
    pub authority: PathBuf,
    /// Public keys that may stop them.
    pub stop_keys: Vec<PathBuf>,
    /// Public keys that may stop and start them.
    pub operator_keys: Vec<PathBuf>,
    /// Where replicas are, `host:port`.
    pub endpoints: Vec<String>,
    /// Where they write down what was: [records](crate::truth::Record).
    pub truth: PathBuf,
    /// From the receipt of an order to its being done.
    pub obeys_after_milliseconds: u64,
}

/// What the parent wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub enum Ask {
    /// The first.
    Begin(Setup),
    /// Hosts behave so from now on.
    Behave {
        /// Which.
        hosts: Range<usize>,
        /// How.
        behaviour: Behaviour,
        /// How many begin in a second, at most.
        per_second: u32,
    },
    /// Where replicas are.
    Endpoints {
        /// `host:port`.
        addresses: Vec<String>,
    },
    /// How are you?
    Report,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// It is done, or begun.
    Done,
    /// So they are.
    Report(Report),
    /// It cannot be done.
    Failed {
        /// One line.
        why: String,
    },
}

/// How hosts are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Streams that are open and welcome.
    pub welcome: u64,
    /// Calls so far, those that were welcome, and streams that broke.
    pub calls: u64,
    /// Calls that a replica has welcomed.
    pub welcomes: u64,
    /// Streams and calls that failed, not those that the host gave up.
    pub failures: u64,
    /// Why the last of these failed.
    pub last_failure: String,
    /// Messages that came.
    pub messages: u64,
    /// Orders that came.
    pub orders: u64,
    /// Orders that were obeyed.
    pub obeyed: u64,
    /// Hosts that are stopped by order.
    pub stopped: u64,
    /// Lies told.
    pub lies: u64,
}

impl Report {
    pub(super) fn add(&mut self, other: Self) {
        self.welcome += other.welcome;
        self.calls += other.calls;
        self.welcomes += other.welcomes;
        self.failures += other.failures;
        self.messages += other.messages;
        self.orders += other.orders;
        self.obeyed += other.obeyed;
        self.stopped += other.stopped;
        self.lies += other.lies;
        if self.last_failure.is_empty() {
            self.last_failure = other.last_failure;
        }
    }
}
