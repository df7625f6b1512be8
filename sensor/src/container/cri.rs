//! Asks a runtime of Kubernetes, over its socket.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status};

use self::v1::runtime_service_client::RuntimeServiceClient;
use self::v1::{
    Container, ContainerFilter, ContainerStatusRequest, ImageSpec, ListContainersRequest,
    PodSandboxStatus, PodSandboxStatusRequest, VersionRequest,
};
use super::asker::{ANSWER_BYTES, AskError};
use super::details::{Details, Source, cut, labels};

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "made by tonic, and not all of it is needed"
)]
mod v1 {
    include!("generated/runtime.v1.rs");
}

/// Labels that the kubelet adds to those of a pod; what they say has fields of its own.
const OF_THE_KUBELET: &str = "io.kubernetes.";

/// What the runtime at a socket knows of a container; `None` if that is nothing.
pub(super) async fn ask(socket: &Path, id: &str) -> Result<Option<Details>, AskError> {
    let connection = UnixStream::connect(socket).await?;
    let (channel, connection) =
        http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(connection)).await?;
    let origin = Uri::from_static("http://localhost/");
    let client = RuntimeServiceClient::with_origin(Channel(channel), origin);
    let mut client = client.max_decoding_message_size(ANSWER_BYTES);
    // All is over when the first of both is.
    tokio::select! {
        found = find(&mut client, id) => found.or_else(|status| nothing(&status)),
        ended = connection => Err(ended.err().map_or(AskError::Gone, AskError::from)),
    }
}

async fn find(
    client: &mut RuntimeServiceClient<Channel>,
    id: &str,
) -> Result<Option<Details>, Status> {
    let filter = Some(ContainerFilter { id: id.to_owned() });
    let found = client.list_containers(ListContainersRequest { filter }).await?.into_inner();
    let container = found.containers.into_iter().find(|it| it.id == id);
    // What holds the namespaces of a pod is a container without a name.
    let pod_id = container.as_ref().map_or(id, |it| &it.pod_sandbox_id);
    let request = PodSandboxStatusRequest { pod_sandbox_id: pod_id.to_owned() };
    let pod = match client.pod_sandbox_status(request).await {
        Ok(answer) => answer.into_inner().status.unwrap_or_default(),
        // One that is being removed, before its container is.
        Err(_) if container.is_some() => PodSandboxStatus::default(),
        Err(status) => return Err(status),
    };
    let image = match &container {
        Some(container) => image(client, container).await,
        None => String::new(),
    };
    let version = client.version(VersionRequest {}).await?.into_inner();
    let name = container.and_then(|it| it.metadata).map_or(String::new(), |it| cut(&it.name));
    Ok(Some(Details { runtime: cut(&version.runtime_name), name, image, ..of_pod(&pod) }))
}

/// A list has what the container was made from, which the kubelet says by its digest.
async fn image(client: &mut RuntimeServiceClient<Channel>, container: &Container) -> String {
    let request = ContainerStatusRequest { container_id: container.id.clone() };
    let status = client.container_status(request).await.ok();
    let resolved = status.and_then(|it| it.into_inner().status).and_then(|it| it.image);
    let name = |image: &ImageSpec| {
        let candidates = [&image.user_specified_image, &image.image];
        candidates.into_iter().find(|it| !it.is_empty()).map(|it| cut(it))
    };
    let listed = container.image.as_ref();
    resolved.as_ref().and_then(name).or_else(|| listed.and_then(name)).unwrap_or_default()
}

fn of_pod(pod: &PodSandboxStatus) -> Details {
    let metadata = pod.metadata.clone().unwrap_or_default();
    let own = pod.labels.iter().filter(|(key, _)| !key.starts_with(OF_THE_KUBELET));
    Details {
        source: Source::Cri,
        namespace: cut(&metadata.namespace),
        pod: cut(&metadata.name),
        pod_id: cut(&metadata.uid),
        labels: labels(own.map(|(key, value)| (&**key, &**value))),
        ..Details::default()
    }
}

/// One that it does not know, or a socket at which nobody speaks this.
fn nothing(status: &Status) -> Result<Option<Details>, AskError> {
    match status.code() {
        Code::NotFound | Code::Unimplemented => Ok(None),
        _ => Err(AskError::Refused(status.message().to_owned())),
    }
}

/// A connection, as a client of tonic has it.
struct Channel(SendRequest<Body>);

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
