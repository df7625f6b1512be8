//! Pods, as the kubelet makes them: the calls of the Container Runtime Interface v1 that this takes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
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

use super::{IMAGE, messages::*};

/// A client of a runtime.
pub struct Cri {
    runtime: Runtime,
    grpc: Grpc<Channel>,
    /// Pods that there are.
    made: Vec<String>,
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
    /// Where what its containers write goes, if anybody wants it.
    pub logs: Option<PathBuf>,
    /// Whether its containers see the host's processes.
    pub host_pid: bool,
}

/// The namespace of every pod.
pub const NAMESPACE: &str = "shop";
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
        Ok(Self { runtime, grpc, made: Vec::new() })
    }

    /// Makes a pod and gives its id.
    pub fn run_pod(&mut self, pod: &Pod) -> Result<String> {
        let config = Some(pod.config());
        let made: PodMade = self.call("RunPodSandbox", PodToRun { config })?;
        self.made.push(made.pod_sandbox_id.clone());
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
            ..Mount::default()
        };
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned() }),
            image: Some(ImageSpec { image: IMAGE.to_owned() }),
            command,
            mounts: vec![mount],
            ..ContainerConfig::default()
        };
        self.start(pod, config)
    }

    /// Starts any container in it and gives its id.
    pub fn start(&mut self, pod: (&str, &Pod), config: ContainerConfig) -> Result<String> {
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

    /// Tells a container to end, as the kubelet does, and waits for it so long.
    pub fn stop(&mut self, id: &str, seconds: i64) -> Result<()> {
        let request = ContainerToStop { container_id: id.to_owned(), timeout: seconds };
        self.call::<_, Nothing>("StopContainer", request).map(drop)
    }

    /// How a container is: whether it is over, and its exit code.
    pub fn status(&mut self, id: &str) -> Result<(bool, i32)> {
        const EXITED: i32 = 2;
        let answer: ContainerTold = self.call("ContainerStatus", ById { id: id.to_owned() })?;
        let status = answer.status.context("no status")?;
        Ok((status.state == EXITED, status.exit_code))
    }

    /// Ends a pod and all that is in it.
    pub fn remove_pod(&mut self, id: &str) -> Result<()> {
        let _: Nothing = self.call("StopPodSandbox", ById { id: id.to_owned() })?;
        let _: Nothing = self.call("RemovePodSandbox", ById { id: id.to_owned() })?;
        self.made.retain(|it| it != id);
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

impl Drop for Cri {
    fn drop(&mut self) {
        // Those of a test that has failed: nobody is left to tell of another failure.
        for id in std::mem::take(&mut self.made) {
            let _ = self.remove_pod(&id);
        }
    }
}

impl Pod {
    fn config(&self) -> PodConfig {
        let metadata = PodMetadata {
            name: self.name.clone(),
            uid: self.uid.clone(),
            namespace: NAMESPACE.to_owned(),
        };
        let security = PodSecurity { namespace_options: Some(self.namespaces()) };
        let cgroup_parent = self.cgroup.clone();
        PodConfig {
            metadata: Some(metadata),
            labels: self.labels.clone(),
            log_directory: self
                .logs
                .as_ref()
                .map_or_else(String::new, |it| it.display().to_string()),
            linux: Some(LinuxPod { cgroup_parent, security_context: Some(security) }),
        }
    }

    /// What a container of it is told of them: a kubelet says the same to both.
    pub fn namespaces(&self) -> NamespaceOption {
        NamespaceOption { network: NODE, pid: if self.host_pid { NODE } else { POD } }
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
