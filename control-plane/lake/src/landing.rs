//! Taking records: many callers come with one each, few objects are written, and each caller knows when its record lies
//! safe.
//!
//! ```text
//! store ─┐                              landing/<replica>/<ms, 20 digits>-<n>.landing
//! store ─┼─▶ room (bytes) ─▶ gather ──▶ one object at a time, synced ──▶ every caller is told
//! store ─┘
//! ```
//!
//! An object is written when [`OBJECT_BYTES`] have come, or when its oldest record has waited for as long as it may. While
//! one is written the next one is gathered, so the busier it is, the larger they are. Callers wait for room: what is not
//! on the disk yet never takes more memory than [`ROOM_BYTES`].

pub mod format;

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use wanglou_api::sensor::v1::publish_request::Record;

use crate::Error;
use format::{HostRecord, MOST_RECORD};

/// Where the objects are.
const FOLDER: &str = "landing";
const ROOM_BYTES: usize = 64 << 20;
const OBJECT_BYTES: usize = 4 << 20;
/// The same, of what the records come to when they are unpacked: an object is compacted as a whole.
const OBJECT_CONTENT: usize = 32 << 20;
/// Records that are on their way to be gathered.
const QUEUE: usize = 1_024;
/// Names that may be taken.
const ATTEMPTS: usize = 64;

/// Where callers come.
#[derive(Debug)]
pub(crate) struct Landing {
    queue: mpsc::Sender<Arrival>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Arrival {
    frame: Vec<u8>,
    /// Bytes of its content.
    content: usize,
    received_ms: i64,
    stored: oneshot::Sender<Result<(), Error>>,
    /// Given back with it.
    _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Writer {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// Of the object before.
    last_ms: i64,
    count: u64,
}

impl Landing {
    /// Begins to write; that ends when this is dropped, after what is on its way.
    pub(crate) fn start(store: Arc<dyn ObjectStore>, replica: &str, flush: Duration) -> Self {
        let (queue, arrivals) = mpsc::channel(QUEUE);
        let folder = Path::from(FOLDER).join(replica);
        let writer = Writer { store, folder, last_ms: 0, count: 0 };
        tokio::spawn(writer.run(arrivals, flush));
        Self { queue, room: Arc::new(Semaphore::new(ROOM_BYTES)) }
    }

    pub(crate) async fn store(&self, record: HostRecord) -> Result<(), Error> {
        let bytes = record.encoded_len();
        if bytes > MOST_RECORD {
            return Err(Error::TooLarge { host: record.host, bytes });
        }
        let room = Arc::clone(&self.room).acquire_many_owned(bytes as u32).await;
        let _room = room.map_err(|_| Error::Closed)?;
        let (stored, answer) = oneshot::channel();
        let content = match record.record.as_ref().and_then(|told| told.record.as_ref()) {
            Some(Record::Batch(batch)) => batch.content_bytes as usize,
            _ => 0,
        };
        let (frame, received_ms) = (format::frame(&record), record.received_ms);
        let arrival = Arrival { frame, content, received_ms, stored, _room };
        drop(record);
        self.queue.send(arrival).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Writer {
    async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>, flush: Duration) {
        while let Some(first) = arrivals.recv().await {
            let until = Instant::now() + flush;
            let (mut bytes, mut content) = (first.frame.len(), first.content);
            let mut gathered = vec![first];
            while bytes < OBJECT_BYTES
                && content < OBJECT_CONTENT
                && let Ok(Some(next)) = timeout_at(until, arrivals.recv()).await
            {
                bytes += next.frame.len();
                content = content.saturating_add(next.content);
                gathered.push(next);
            }
            let result = self.write(&gathered).await;
            for arrival in gathered {
                // Nobody may be waiting any more; then it is told again and counts once.
                let _ = arrival.stored.send(result.clone());
            }
        }
    }

    async fn write(&mut self, gathered: &[Arrival]) -> Result<(), Error> {
        let mut object = format::begin();
        gathered.iter().for_each(|arrival| object.extend_from_slice(&arrival.frame));
        let newest = gathered.iter().map(|arrival| arrival.received_ms).max().unwrap_or(0);
        self.last_ms = self.last_ms.max(newest).max(0);
        let object = PutPayload::from(object);
        for _ in 0..ATTEMPTS {
            self.count += 1;
            let name = format!("{:020}-{}.landing", self.last_ms, self.count);
            let path = self.folder.clone().join(name);
            match self.store.put_opts(&path, object.clone(), PutMode::Create.into()).await {
                // Before a restart, this replica has been here in the same millisecond.
                Err(object_store::Error::AlreadyExists { .. }) => {}
                put => return put.map(drop).map_err(Error::store("write", &path)),
            }
        }
        Err(Error::Busy)
    }
}

/// All landing objects, the oldest first.
pub(crate) async fn list(store: &dyn ObjectStore) -> Result<Vec<ObjectMeta>, Error> {
    let folder = Path::from(FOLDER);
    let objects = store.list(Some(&folder)).try_collect::<Vec<_>>().await;
    let mut objects = objects.map_err(Error::store("list", &folder))?;
    objects.retain(|object| object.location.extension() == Some("landing"));
    objects.sort_by(|a, b| age(&a.location).cmp(&age(&b.location)));
    Ok(objects)
}

/// Names sort by their time, then by their order within it, and then by the replica.
fn age(path: &Path) -> (Option<(u64, u64)>, &str) {
    let numbers = path.filename().and_then(|name| {
        let (ms, count) = name.strip_suffix(".landing")?.split_once('-')?;
        Some((ms.parse().ok()?, count.parse().ok()?))
    });
    (numbers, path.as_ref())
}

/// What one has; `None` if it is not there any more.
pub(crate) async fn read(
    store: &dyn ObjectStore,
    path: &Path,
) -> Result<Option<bytes::Bytes>, Error> {
    let object = match store.get(path).await {
        Ok(object) => object.bytes().await,
        Err(error) => Err(error),
    };
    match object {
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        object => object.map(Some).map_err(Error::store("read", path)),
    }
}
