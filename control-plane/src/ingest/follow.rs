//! Events that come, for those who watch: nobody waits for them, and who is too slow is told how much it has missed.

use std::sync::Arc;

use tokio::sync::broadcast;
use wanglou_api::event::v1::Event;
use wanglou_lake::content::Content;

/// Batches that a follower may be behind.
const BEHIND: usize = 256;

/// What a host told at once.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
}

/// The way to all of them.
#[derive(Debug)]
pub(crate) struct Followers(broadcast::Sender<Arc<Told>>);

impl Followers {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }

    /// Nobody may be there.
    pub(crate) fn tell(&self, content: &Content) {
        if self.0.receiver_count() > 0 && !content.is_empty() {
            let events = content.events().collect();
            let _ = self.0.send(Arc::new(Told { events }));
        }
    }

    /// What comes from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Told>> {
        self.0.subscribe()
    }
}
