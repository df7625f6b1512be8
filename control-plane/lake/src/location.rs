//! Where a lake is: a folder, or a bucket of whatever speaks S3.

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use crate::{Error, Folder};

const S3: &str = "s3://";

/// Whether it is in a bucket: `s3://bucket` or `s3://bucket/prefix`.
pub fn is_bucket(location: &str) -> bool {
    location.starts_with(S3)
}

/// Opens a folder, or a bucket with the variables of the environment that AWS's own tools know: `AWS_REGION`,
/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT` for another server than AWS's,
/// `AWS_ALLOW_HTTP`, and those of web identities; without a key, the instance's role is asked for. The server has to take
/// `If-None-Match` with a PUT (AWS does since 2024), or two replicas could make the same commit.
pub fn open(
    location: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Arc<dyn ObjectStore>, Error> {
    let Some(place) = location.strip_prefix(S3) else {
        return Ok(Arc::new(Folder::open(FilePath::new(location))?));
    };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let wrong = |source: object_store::Error| Error::Bucket {
        location: location.to_owned(),
        source: Arc::new(source),
    };
    if bucket.is_empty() {
        return Err(wrong(object_store::Error::Generic {
            store: "S3",
            source: "there is no bucket in it".into(),
        }));
    }
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    for (name, value) in environment {
        if name.starts_with("AWS_")
            && let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
        {
            builder = builder.with_config(key, value);
        }
    }
    let store = builder.build().map_err(wrong)?;
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| wrong(error.into()))?;
    Ok(if prefix.as_ref().is_empty() {
        Arc::new(store)
    } else {
        Arc::new(PrefixStore::new(store, prefix))
    })
}
