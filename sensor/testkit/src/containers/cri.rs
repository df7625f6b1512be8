//! Pods, as the kubelet makes them: the calls of the Container Runtime Interface v1 that this takes.

use std::{
    collections::BTreeMap,
    path::Path,
    pin::Pin,
    task::{Context as Polled, Poll},
    time::Duration,
};

use anyhow::{Context, Result};
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{net::UnixStream, runtime::Runtime};
use tonic::{
    body::Body,
    client::Grpc,
    codegen::{Service, http::uri::PathAndQuery},
};
use tonic_prost::ProstCodec;

use super::IMAGE;

/// A client of a runtime.
pub struct Cri {
    runtime: Runtime,
    grpc: Grpc<Channel>,
}

/// What a pod is called.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The parent of its containers' cgroups.
    pub cgroup: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The namespace of every pod.
pub const NAMESPACE: &str = "shop";
/// `NamespaceMode.NODE`.
const NODE: i32 = 2;

impl Cri {
    /// Of the one that listens there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build()?;
        let grpc = runtime.block_on(async {
            let stream = UnixStream::connect(socket).await?;
            let (sender, connection) =
                http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let origin = Uri::from_static("http://localhost/");
            anyhow::Ok(Grpc::with_origin(Channel(sender), origin))
        })?;
        Ok(Self { runtime, grpc })
    }

    /// Makes a pod and gives its id.
    pub fn run_pod(&mut self, pod: &Pod) -> Result<String> {
        let config = Some(pod.config());
        let made: PodMade = self.call("RunPodSandbox", PodToRun { config })?;
        Ok(made.pod_sandbox_id)
    }

    /// Starts a container in it and gives its id: a shell script, with the folder `given` as `/given`.
    pub fn run(
        &mut self,
        pod: (&str, &Pod),
        name: &str,
        script: &str,
        given: &Path,
    ) -> Result<String> {
        let command = ["/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec();
        let mount = Mount {
            container_path: "/given".to_owned(),
            host_path: given.to_string_lossy().into_owned(),
        };
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned() }),
            image: Some(ImageSpec { image: IMAGE.to_owned() }),
            command,
            mounts: vec![mount],
        };
        let request = ContainerToMake {
            pod_sandbox_id: pod.0.to_owned(),
            config: Some(config),
            sandbox_config: Some(pod.1.config()),
        };
        let made: ContainerMade = self.call("CreateContainer", request)?;
        let id = made.container_id;
        let _: Nothing = self.call("StartContainer", ById { id: id.clone() })?;
        Ok(id)
    }

    /// Ends a pod and all that is in it.
    pub fn remove_pod(&mut self, id: &str) -> Result<()> {
        let _: Nothing = self.call("StopPodSandbox", ById { id: id.to_owned() })?;
        let _: Nothing = self.call("RemovePodSandbox", ById { id: id.to_owned() })?;
        Ok(())
    }

    fn call<Q, A>(&mut self, method: &str, request: Q) -> Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        const PATIENCE: Duration = Duration::from_secs(30);
        let path: PathAndQuery = format!("/runtime.v1.RuntimeService/{method}").parse()?;
        let grpc = &mut self.grpc;
        let answer = self.runtime.block_on(async {
            grpc.ready().await?;
            let mut request = tonic::Request::new(request);
            request.set_timeout(PATIENCE);
            anyhow::Ok(grpc.unary(request, path, ProstCodec::<Q, A>::default()).await?)
        });
        Ok(answer.with_context(|| format!("{method} failed"))?.into_inner())
    }
}

impl Pod {
    fn config(&self) -> PodConfig {
        let metadata = PodMetadata {
            name: self.name.clone(),
            uid: self.uid.clone(),
            namespace: NAMESPACE.to_owned(),
        };
        let namespaces = NamespaceOption { network: NODE };
        let security = SecurityContext { namespace_options: Some(namespaces) };
        let cgroup_parent = self.cgroup.clone();
        PodConfig {
            metadata: Some(metadata),
            labels: self.labels.clone(),
            linux: Some(LinuxPod { cgroup_parent, security_context: Some(security) }),
        }
    }
}

/// A connection, as a client of tonic has it.
struct Channel(SendRequest<Body>);

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Polled<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

macro_rules! messages {
    ($($name:ident { $($(#[$field:meta])* $key:ident: $type:ty,)* })*) => {$(
        #[derive(Clone, PartialEq, Message)]
        struct $name {
            $($(#[$field])* $key: $type,)*
        }
    )*};
}

messages! {
    Nothing {}
    ById {
        #[prost(string, tag = "1")]
        id: String,
    }
    PodToRun {
        #[prost(message, optional, tag = "1")]
        config: Option<PodConfig>,
    }
    PodMade {
        #[prost(string, tag = "1")]
        pod_sandbox_id: String,
    }
    PodConfig {
        #[prost(message, optional, tag = "1")]
        metadata: Option<PodMetadata>,
        #[prost(btree_map = "string, string", tag = "6")]
        labels: BTreeMap<String, String>,
        #[prost(message, optional, tag = "8")]
        linux: Option<LinuxPod>,
    }
    PodMetadata {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        uid: String,
        #[prost(string, tag = "3")]
        namespace: String,
    }
    LinuxPod {
        #[prost(string, tag = "1")]
        cgroup_parent: String,
        #[prost(message, optional, tag = "2")]
        security_context: Option<SecurityContext>,
    }
    SecurityContext {
        #[prost(message, optional, tag = "1")]
        namespace_options: Option<NamespaceOption>,
    }
    NamespaceOption {
        #[prost(int32, tag = "1")]
        network: i32,
    }
    ContainerToMake {
        #[prost(string, tag = "1")]
        pod_sandbox_id: String,
        #[prost(message, optional, tag = "2")]
        config: Option<ContainerConfig>,
        #[prost(message, optional, tag = "3")]
        sandbox_config: Option<PodConfig>,
    }
    ContainerMade {
        #[prost(string, tag = "1")]
        container_id: String,
    }
    ContainerConfig {
        #[prost(message, optional, tag = "1")]
        metadata: Option<ContainerMetadata>,
        #[prost(message, optional, tag = "2")]
        image: Option<ImageSpec>,
        #[prost(string, repeated, tag = "3")]
        command: Vec<String>,
        #[prost(message, repeated, tag = "7")]
        mounts: Vec<Mount>,
    }
    ContainerMetadata {
        #[prost(string, tag = "1")]
        name: String,
    }
    ImageSpec {
        #[prost(string, tag = "1")]
        image: String,
    }
    Mount {
        #[prost(string, tag = "1")]
        container_path: String,
        #[prost(string, tag = "2")]
        host_path: String,
    }
}
