//! All leases of a replica, renewed over one stream: `etcd_client` opens one for each.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::error::StoreError;
use crate::fleet::leases::LeaseId;

/// Renewals that wait for their answers.
const WINDOW: usize = 64;
const PATH: &str = "/etcdserverpb.Lease/LeaseKeepAlive";

/// `etcdserverpb.LeaseKeepAliveRequest`, rpc.proto of etcd 3.4.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(int64, tag = "1")]
    id: i64,
}

/// `etcdserverpb.LeaseKeepAliveResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(int64, tag = "2")]
    id: i64,
    #[prost(int64, tag = "3")]
    ttl: i64,
}

/// Renews each of them once; those that are no more. A lease that is not there is an answer without time to live, not
/// an error.
pub(super) async fn renew(
    channel: Channel,
    leases: Vec<LeaseId>,
) -> Result<Vec<LeaseId>, StoreError> {
    // etcd answers a stream on which nothing is asked only when it ends.
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let (ask, asked) = mpsc::channel(WINDOW);
    let mut open: HashSet<_> = leases.iter().copied().collect();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let asking = tokio::spawn(async move {
        for id in leases {
            if ask.send(Request { id }).await.is_err() {
                break;
            }
        }
        // Until all answers are here: etcd ends the stream when we end ours.
        ask.closed().await;
    });
    let request = tonic::Request::new(ReceiverStream::new(asked));
    let codec = ProstCodec::<Request, Response>::default();
    let answers = grpc.streaming(request, PathAndQuery::from_static(PATH), codec).await;
    let gone = match answers {
        Ok(answers) => read(answers.into_inner(), &mut open).await,
        Err(status) => Err(status.into()),
    };
    asking.abort();
    gone
}

async fn read(
    mut answers: tonic::Streaming<Response>,
    open: &mut HashSet<LeaseId>,
) -> Result<Vec<LeaseId>, StoreError> {
    let mut gone = Vec::new();
    while !open.is_empty() {
        let answer = answers.message().await?.ok_or(StoreError::Answer("renewals"))?;
        if open.remove(&answer.id) && answer.ttl <= 0 {
            gone.push(answer.id);
        }
    }
    Ok(gone)
}
