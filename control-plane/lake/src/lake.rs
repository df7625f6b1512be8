use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tokio::sync::Mutex;

use crate::landing::Landing;
use crate::landing::format::HostRecord;
use crate::state::State;
use crate::{Error, journal};

/// A record waits for others to be written with for so long at most.
const MOST_FLUSH: Duration = Duration::from_secs(2);

/// What may be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this replica: letters, digits, `-`, `_` and `.`, at most 64.
    pub replica: String,
    /// A record waits for others to be written with for so long; 2 s at most.
    pub flush: Duration,
    /// Events are kept for so many days; at least one.
    pub retention_days: u32,
    /// A round of compaction takes so many bytes of events, and at most 48 MiB more.
    pub round_bytes: usize,
}

/// Where events are kept: see the [crate].
#[derive(Debug)]
pub struct Lake {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) settings: Settings,
    /// After the last commit that was read.
    pub(crate) state: Mutex<Arc<State>>,
    /// One of them at a time.
    pub(crate) rounds: Mutex<Rounds>,
    landing: Landing,
}

/// What rounds of compaction know of those before.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// The commit for which nothing is left to be done.
    pub(crate) finished: Option<u64>,
    /// When it was last looked for what is too old, ms since 1970.
    pub(crate) expired_at: Option<i64>,
}

impl Settings {
    /// What is usual, for a replica.
    pub fn new(replica: impl Into<String>) -> Self {
        Self {
            replica: replica.into(),
            flush: Duration::from_secs(1),
            retention_days: 30,
            round_bytes: 256 << 20,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |name, value: &dyn ToString, allowed| {
            Err(Error::Setting { name, value: value.to_string(), allowed })
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let name = &self.replica;
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_plain) || name.starts_with('.') {
            return wrong("replica", name, "letters, digits, - and _, at most 64");
        }
        if self.flush > MOST_FLUSH {
            return wrong("flush", &self.flush.as_secs_f64(), "2 seconds at most");
        }
        if !(1..=36_500).contains(&self.retention_days) {
            return wrong("retention", &self.retention_days, "1 to 36500 days");
        }
        if !(1..=1 << 30).contains(&self.round_bytes) {
            return wrong("round", &self.round_bytes, "1 byte to 1 GiB");
        }
        Ok(())
    }
}

impl Lake {
    /// Reads what is there, and begins to take records. Must be called within a runtime of tokio.
    pub async fn open(store: Arc<dyn ObjectStore>, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let mut state = Arc::default();
        journal::follow(&*store, &mut state).await?;
        let landing = Landing::start(Arc::clone(&store), &settings.replica, settings.flush);
        let (state, rounds) = (Mutex::new(state), Mutex::default());
        Ok(Self { store, settings, state, rounds, landing })
    }

    /// Stores a record: it is safe when this returns. Where it fails, the record may be stored or not, and is to be stored
    /// again: it counts once.
    pub async fn store(&self, record: HostRecord) -> Result<(), Error> {
        self.landing.store(record).await
    }

    /// What holds the lake.
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// After the last commit.
    pub(crate) async fn refresh(&self) -> Result<Arc<State>, Error> {
        let mut state = self.state.lock().await;
        journal::follow(&*self.store, &mut state).await?;
        Ok(Arc::clone(&state))
    }
}
