//! Asks runtimes about containers: on a thread of its own, which is there once there is something to ask, one
//! container after another, and none for long.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{sleep, timeout};

use super::details::Details;
use super::{cri, docker};
use crate::log::ids;

/// Questions that wait, and answers, at most.
const WAITING: usize = 64;
/// Time for one runtime to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two questions: no more than twenty in a second.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of an answer at most.
pub(super) const ANSWER_BYTES: usize = 1 << 20;
/// Room for the stack; what is not used takes no memory.
const STACK_BYTES: usize = 512 << 10;

/// Runtimes that are asked one after another, at most.
pub const MAX_SOCKETS: usize = 8;

/// Where runtimes listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// Those of Kubernetes, which are asked in this order.
    pub cri: Vec<PathBuf>,
    /// Docker's; none if empty.
    pub docker: PathBuf,
}

/// As the runtimes have them unless they are told otherwise.
impl Default for Sockets {
    fn default() -> Self {
        let cri = [
            "/run/containerd/containerd.sock",
            "/run/crio/crio.sock",
            "/run/k3s/containerd/containerd.sock",
        ];
        Self { cri: cri.map(PathBuf::from).to_vec(), docker: "/var/run/docker.sock".into() }
    }
}

/// A container that somebody is asked about.
struct Question {
    id: Arc<str>,
    runtime: Option<&'static str>,
}

/// What came of it: `None` if nobody knows the container.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its id.
    pub(super) id: Arc<str>,
    /// What is known of it.
    pub(super) details: Option<Details>,
}

/// Why a runtime does not answer.
#[derive(Debug, Error)]
pub(super) enum AskError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Refused(String),
    #[error("it has ended the connection")]
    Gone,
    #[error("no answer within 2 s")]
    Silent,
}

/// Whoever asks.
#[derive(Debug)]
pub struct Asker {
    sockets: Sockets,
    thread: Option<(Sender<Question>, Receiver<Answer>)>,
}

impl Asker {
    /// Nobody is asked yet.
    pub fn new(sockets: Sockets) -> Self {
        Self { sockets, thread: None }
    }

    /// Asks about a container, unless too many questions wait.
    pub(super) fn ask(&mut self, id: &Arc<str>, runtime: Option<&'static str>) -> bool {
        if self.thread.as_ref().is_none_or(|(questions, _)| questions.is_closed()) {
            self.thread = start(self.sockets.clone());
        }
        let question = Question { id: Arc::clone(id), runtime };
        self.thread.as_ref().is_some_and(|(questions, _)| questions.try_send(question).is_ok())
    }

    /// The next answer, if one has come.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        self.thread.as_mut()?.1.try_recv().ok()
    }
}

/// `None` where there can be no thread now.
fn start(sockets: Sockets) -> Option<(Sender<Question>, Receiver<Answer>)> {
    let (ask, questions) = channel(WAITING);
    let (tell, answers) = channel(WAITING);
    let thread = thread::Builder::new().name("containers".to_owned()).stack_size(STACK_BYTES);
    let ask_all = move || {
        // Where there can be no loop, the questions fall on the floor and are asked again.
        if let Ok(event_loop) = Builder::new_current_thread().enable_all().build() {
            event_loop.block_on(work(&sockets, questions, tell));
        }
    };
    thread.spawn(ask_all).ok()?;
    Some((ask, answers))
}

/// Until nobody wants to know any more.
async fn work(sockets: &Sockets, mut questions: Receiver<Question>, tell: Sender<Answer>) {
    let mut silent = Vec::new();
    while let Some(Question { id, runtime }) = questions.recv().await {
        let details = find(sockets, &id, runtime, &mut silent).await;
        if tell.send(Answer { id, details }).await.is_err() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Asks those who may know it; one that does not answer is told of once.
async fn find(
    sockets: &Sockets,
    id: &str,
    runtime: Option<&str>,
    silent: &mut Vec<PathBuf>,
) -> Option<Details> {
    let of_docker = matches!(runtime, Some("docker" | "podman"));
    let cri = sockets.cri.iter().filter(|_| !of_docker);
    let docker = Some(&sockets.docker)
        .filter(|path| !path.as_os_str().is_empty() && (of_docker || runtime.is_none()));
    for socket in cri {
        if let Some(details) = heard(socket, cri::ask(socket, id), silent).await {
            return Some(details);
        }
    }
    heard(docker?, docker::ask(docker?, id), silent).await
}

async fn heard(
    socket: &Path,
    asked: impl Future<Output = Result<Option<Details>, AskError>>,
    silent: &mut Vec<PathBuf>,
) -> Option<Details> {
    match timeout(PATIENCE, asked).await.unwrap_or(Err(AskError::Silent)) {
        Ok(details) => {
            silent.retain(|it| it != socket);
            details
        }
        // Nobody is there: on most hosts there is one runtime.
        Err(AskError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            if !silent.iter().any(|it| it == socket) {
                silent.push(socket.to_owned());
                tracing::warn!(
                    id = ids::RUNTIME_SILENT.code,
                    "{}: {error}: containers have their ids only",
                    socket.display()
                );
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A host without any runtime, and one whose runtime hangs.
    #[test]
    fn who_does_not_answer_holds_up_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let hangs = folder.path().join("hangs.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&hangs).expect("a socket");
        let absent = folder.path().join("absent.sock");
        let sockets = Sockets { cri: vec![absent.clone(), hangs], docker: absent };
        let mut asker = Asker::new(sockets);
        let began = Instant::now();
        let id = Arc::<str>::from("9f8e");
        assert!(asker.ask(&id, None));
        assert!(began.elapsed() < PATIENCE, "asking waits for nothing");
        let answer = loop {
            if let Some(answer) = asker.answer() {
                break answer;
            }
            assert!(began.elapsed() < 5 * PATIENCE, "it gives up");
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!((&*answer.id, answer.details), ("9f8e", None));
    }

    #[test]
    fn questions_that_wait_are_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let hangs = folder.path().join("hangs.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&hangs).expect("a socket");
        let mut asker = Asker::new(Sockets { cri: vec![hangs], docker: PathBuf::new() });
        let id = Arc::<str>::from("9f8e");
        let taken = (0..10 * WAITING).filter(|_| asker.ask(&id, None)).count();
        assert!((WAITING..=WAITING + 1).contains(&taken), "{taken}");
    }
}
