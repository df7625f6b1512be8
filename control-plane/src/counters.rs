//! What a replica counts, beside what there is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;

/// One that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, by: usize) {
        self.0.fetch_add(by as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$about:meta])* $name:ident,)*) => {
        /// All of them.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            looked: AtomicU64,
            crowded_at: AtomicU64,
            $($name: Counter,)*
        }

        impl Counters {
            $($(#[$about])* pub(crate) fn $name(&self) -> &Counter {
                &self.$name
            })*
        }
    };
}

counters! {
    /// Connections of peers that are known.
    accepted,
    /// Connections whose other end is not, or not one of ours.
    refused,
    /// Connections of an address that had too many which said nothing.
    crowded,
    /// Connections of a certificate that has too many.
    too_many,
    /// Connections of peers that are known and do not speak HTTP/2.
    no_http2,
    /// Streams of hosts.
    opened,
    /// Streams of hosts that come too often.
    too_often,
    /// Streams for which there is no place.
    full,
    /// Streams whose hosts do not say hello as they should.
    no_hello,
    /// Streams whose hosts say what cannot be read, or more at once than they may.
    malformed,
    /// Streams whose hosts speak more often than they may, and wait.
    held_back,
    /// Streams whose hosts do not take what they are told.
    deaf,
    /// Hosts that etcd has.
    committed,
    /// Hosts of batches that failed.
    not_committed,
    /// Orders that nobody who may has signed.
    not_believed,
    /// Orders that hosts refuse.
    order_refused,
    /// Telemetry streams of hosts.
    publishing,
    /// Records that the lake has.
    records_stored,
    /// Records that cannot be true.
    records_refused,
    /// Events in records that were believed, again and again if they came so.
    events_told,
}

/// Whoever has waited for so long for a handshake is not alone.
pub(crate) const CROWD: Duration = Duration::from_millis(500);
/// For so long after that there may still be others.
const CROWDED: Duration = Duration::from_secs(5);

impl Counters {
    /// Somebody has waited for a handshake for longer than [`CROWD`].
    pub(crate) fn crowds(&self) {
        self.crowded_at.store(clock::millis().max(1), Ordering::Relaxed);
    }

    /// Whether there are more that want to come than can.
    pub(crate) fn is_crowded(&self) -> bool {
        let at = self.crowded_at.load(Ordering::Relaxed);
        at > 0 && clock::millis().saturating_sub(at) < CROWDED.as_millis() as u64
    }

    /// The node looks around.
    pub(crate) fn looks(&self) {
        self.looked.store(clock::millis(), Ordering::Relaxed);
    }

    /// Since it did so last.
    pub(crate) fn since_look(&self) -> Duration {
        Duration::from_millis(clock::millis().saturating_sub(self.looked.load(Ordering::Relaxed)))
    }
}
