//! Why etcd did not do what it was asked for.

use thiserror::Error;
use tonic::Code;

impl StoreError {
    /// Whether etcd has not what it was asked to use, such as a lease.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::Etcd(etcd_client::Error::GRpcStatus(status)) | Self::Status(status) => {
                status.code() == Code::NotFound
            }
            _ => false,
        }
    }
}

/// Why not.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// It says so, or does not answer.
    #[error("etcd: {0}")]
    Etcd(#[from] etcd_client::Error),
    /// It cannot be asked.
    #[error("etcd: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// It says so, to what its client does not know.
    #[error("etcd: {0}")]
    Status(#[from] tonic::Status),
    /// A certificate or key for it cannot be read.
    #[error("cannot read {0}: {1}")]
    File(String, #[source] std::io::Error),
    /// What is there is not what we put there.
    #[error("etcd: a value is not as expected: {0}")]
    Value(#[from] serde_json::Error),
    /// An answer that does not fit the question.
    #[error("etcd: the answer to {0} is not as expected")]
    Answer(&'static str),
    /// It was asked for too long.
    #[error("etcd: no answer after {0} s: see whether it has a quorum")]
    Silent(u64),
}
