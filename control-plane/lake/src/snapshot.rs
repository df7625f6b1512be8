//! What there is to read at a moment: files, and what has landed and is in none of them.
//!
//! What has landed is listed first and the commits are read after it. So an object that is not listed is in a file or
//! came later, and one that is listed and still there is in no file, unless the last commit says so. One that is listed
//! and gone was consumed meanwhile: all is read again.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use wanglou_api::event::v1;
use wanglou_api::sensor::v1::Batch;
use wanglou_api::sensor::v1::publish_request::Record;

use crate::books::{Books, Run};
use crate::columns::Columns;
use crate::compact::taking::run_and_record;
use crate::content::Content;
use crate::lake::Lake;
use crate::landing::format::{HostRecord, parse};
use crate::manifest::{File, Volume};
use crate::state::State;
use crate::{Error, landing};

/// Of landing objects, bytes that a snapshot holds at most; the newest are left out.
const MOST_LANDED: u64 = 64 << 20;
/// It may be compacted while it is read, so often.
const ATTEMPTS: usize = 8;

/// What there is at a moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Those of the last commit. One that is merged into another is deleted: whoever doesn't find it any more takes a new
    /// snapshot.
    pub files: Vec<File>,
    /// Batches that are in none of them, each once.
    landed: Vec<(String, Batch)>,
    /// Landing objects that there was no room for: compaction is behind, and this is not all there is.
    pub left_out: u64,
}

/// Events that have landed, and are in no file yet.
#[derive(Debug)]
pub struct Landed {
    /// Whose they are, as its certificate says.
    pub host: String,
    /// In the order in which they were told.
    pub events: Vec<v1::Event>,
}

impl Snapshot {
    /// What has landed, batch by batch.
    pub fn landed(&self) -> impl Iterator<Item = Landed> {
        self.contents().map(|(host, content)| {
            let events = content.events().collect();
            Landed { host: host.to_owned(), events }
        })
    }

    /// The same as columns of [`schema`](crate::schema::schema), not in order of the time.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        self.contents().map(|(_, content)| {
            let mut columns = Columns::default();
            content.raw().for_each(|raw| columns.push(raw.message));
            columns.finish()
        })
    }

    /// Hosts, as their certificates say, and boots of which something has landed.
    pub(crate) fn boots(&self) -> impl Iterator<Item = (&str, &str)> {
        let landed = self.landed.iter();
        landed.filter_map(|(host, batch)| Some((&**host, &*batch.run.as_ref()?.boot_id)))
    }

    /// What cannot be unpacked is not there, as it will never be in a file.
    fn contents(&self) -> impl Iterator<Item = (&str, Content)> {
        self.landed.iter().filter_map(|(host, batch)| Some((&**host, Content::of(batch).ok()?)))
    }
}

impl Lake {
    /// What there is now.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        for _ in 0..ATTEMPTS {
            let objects = landing::list(&*self.store).await?;
            let state = self.refresh().await?;
            let mut landed = Vec::new();
            let tell = |run: Run, record, _| {
                if let Record::Batch(batch) = record {
                    landed.push((run.host, batch));
                }
            };
            let left_out = self.landed(&objects, &state, MOST_LANDED, tell).await?;
            let Some(left_out) = left_out else { continue };
            let mut files: Vec<_> = state.files.values().cloned().collect();
            self.find_staged(&state, &mut files).await?;
            return Ok(Snapshot { files, landed, left_out });
        }
        Err(Error::Busy)
    }

    /// The books of all runs, with what has landed and is in no file yet.
    pub async fn books(&self) -> Result<BTreeMap<Run, Books>, Error> {
        for _ in 0..ATTEMPTS {
            let objects = landing::list(&*self.store).await?;
            let state = self.refresh().await?;
            let books = state.runs.iter().map(|(run, it)| (run.clone(), it.books.clone()));
            let mut books: BTreeMap<Run, Books> = books.collect();
            let tell = |run, record, received_ms| {
                let mut times = None;
                if let Record::Batch(batch) = &record {
                    let Ok(content) = Content::of(batch) else { return };
                    times = content.times();
                }
                books.entry(run).or_default().count(&record, times, received_ms);
            };
            if self.landed(&objects, &state, u64::MAX, tell).await?.is_some() {
                return Ok(books);
            }
        }
        Err(Error::Busy)
    }

    /// What hosts' events came to, by hour, without what has landed and is in no file yet.
    pub async fn volume(&self) -> Result<Vec<Volume>, Error> {
        Ok(self.refresh().await?.volumes().collect())
    }

    /// Reads what has landed and is in no file, each record once, up to so many bytes of objects. Says how many objects were
    /// left out; `None` if some of it is gone meanwhile.
    async fn landed(
        &self,
        objects: &[ObjectMeta],
        state: &State,
        most_bytes: u64,
        mut tell: impl FnMut(Run, Record, i64),
    ) -> Result<Option<u64>, Error> {
        let consumed: BTreeSet<&str> = state.last.consumed.iter().map(String::as_str).collect();
        let mut touched: BTreeMap<Run, Books> = BTreeMap::new();
        let (mut bytes, mut left_out) = (0, 0);
        for object in objects {
            if consumed.contains(object.location.as_ref()) {
                continue;
            }
            bytes += object.size;
            if bytes > most_bytes {
                left_out += 1;
                continue;
            }
            let read = landing::read(&*self.store, &object.location).await?;
            let Some(read) = read else { return Ok(None) };
            let Ok(parsed) = parse(&read) else { continue };
            for HostRecord { host, received_ms, record } in parsed.records {
                let record = record.and_then(|told| told.record);
                let Some((run, record)) = run_and_record(host, record) else { continue };
                let known = || state.books(&run).cloned().unwrap_or_default();
                let books = touched.entry(run.clone()).or_insert_with(known);
                if books.count(&record, None, received_ms) {
                    tell(run, record, received_ms);
                }
            }
        }
        Ok(Some(left_out))
    }

    /// Files of the last commit may not have their names yet; then they are where they were staged.
    async fn find_staged(&self, state: &State, files: &mut [File]) -> Result<(), Error> {
        for added in &state.last.added {
            let path = Path::from(added.file.path.as_str());
            match self.store.head(&path).await {
                Err(object_store::Error::NotFound { .. }) => {}
                found => {
                    found.map_err(Error::store("read", &path))?;
                    continue;
                }
            }
            let file = files.iter_mut().find(|file| file.path == added.file.path);
            if let Some(file) = file {
                file.path.clone_from(&added.staged);
            }
        }
        Ok(())
    }
}
