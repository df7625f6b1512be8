//! A store that takes no more changes after some: what a crash leaves.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Moves by copying and deleting, as most stores do, and may stop between the two.
#[derive(Clone, Debug)]
pub(crate) struct Stopping {
    inner: Arc<dyn ObjectStore>,
    left: Arc<AtomicI64>,
    /// The last change is made, and nobody hears of it.
    is_last_made: bool,
}

enum Change {
    Made,
    MadeUnheard,
    Refused,
}

impl Stopping {
    pub(crate) fn after(inner: Arc<dyn ObjectStore>, changes: i64, is_last_made: bool) -> Self {
        Self { inner, left: Arc::new(AtomicI64::new(changes)), is_last_made }
    }

    /// Whether it has taken all that it was asked to take.
    pub(crate) fn is_through(&self) -> bool {
        self.left.load(Ordering::Relaxed) >= 0
    }

    fn change(&self) -> Change {
        match self.left.fetch_sub(1, Ordering::Relaxed) {
            1.. => Change::Made,
            0 if self.is_last_made => Change::MadeUnheard,
            _ => Change::Refused,
        }
    }
}

fn stopped<T>() -> Result<T> {
    Err(Error::Generic { store: "stopping", source: "no more changes".into() })
}

#[async_trait]
impl ObjectStore for Stopping {
    async fn put_opts(&self, at: &Path, what: PutPayload, how: PutOptions) -> Result<PutResult> {
        match self.change() {
            Change::Made => self.inner.put_opts(at, what, how).await,
            Change::MadeUnheard => {
                self.inner.put_opts(at, what, how).await?;
                stopped()
            }
            Change::Refused => stopped(),
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        match self.change() {
            Change::Made => self.inner.copy_opts(from, to, how).await,
            Change::MadeUnheard => {
                self.inner.copy_opts(from, to, how).await?;
                stopped()
            }
            Change::Refused => stopped(),
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |path: Result<Path>| {
            let this = this.clone();
            async move {
                let one = futures_util::stream::iter([path]).boxed();
                let mut deleted = match this.change() {
                    Change::Refused => return stopped(),
                    Change::Made => this.inner.delete_stream(one),
                    Change::MadeUnheard => {
                        let _: Vec<_> = this.inner.delete_stream(one).collect().await;
                        return stopped();
                    }
                };
                deleted.next().await.unwrap_or_else(stopped)
            }
        };
        paths.then(delete).boxed()
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        stopped()
    }

    async fn get_opts(&self, path: &Path, how: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, how).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
}

impl fmt::Display for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, until it stops", self.inner)
    }
}
