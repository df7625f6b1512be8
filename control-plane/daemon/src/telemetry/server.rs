//! Requests and answers. None of them may harm the program: there are few at once, each is short, and who is
//! slow is left.

use std::convert::Infallible;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::listen::{self, ListenError, Listener, Name};
use super::subject::{NoHeap, Subject, Verdict};
use super::{heap, metrics, profile};
use crate::log::ids;

/// Connections at once; more wait for one of them to end.
const CONNECTIONS: usize = 4;
/// From one connection to the next: answers cost CPU time, of which nobody shall take much.
const BETWEEN: Duration = Duration::from_millis(50);
/// The same from one profile to the next.
const BETWEEN_PROFILES: Duration = Duration::from_secs(2);
/// Time for a request to be here whole.
const HEADERS: Duration = Duration::from_secs(2);
/// Time for a connection from its beginning to its end.
const WHOLE: Duration = Duration::from_secs(10);
/// Bytes of a request, and headers in it.
const MAX_BYTES: usize = 8 * 1024;
const MAX_HEADERS: usize = 32;
/// Bytes of jemalloc's text that are taken.
const MAX_PROFILE: u64 = 16 << 20;
/// Until one more is let in when none can be: most often, too many files are open.
const PAUSE: Duration = Duration::from_secs(1);

const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers while this lives.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
    _name: Option<Name>,
}

impl Server {
    /// Ends, and waits for that: somebody else may listen at the same address then.
    pub async fn end(mut self) {
        self.task.abort();
        // It was told to.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A program, and when it was last asked for a profile.
struct Site<S> {
    subject: S,
    dumped: Mutex<Option<Instant>>,
}

/// Begins to answer, if that is wanted; needs an event loop. `None` where nobody is to be heard.
pub async fn serve<S: Subject>(subject: S) -> Result<Option<Server>, ListenError> {
    let settings = subject.settings();
    let Some((listener, name)) = listen::listen(&settings.listen).await? else { return Ok(None) };
    if let Err(error) = heap::switch(settings.wants_heap_profile()) {
        tracing::warn!(
            id = ids::NO_HEAP_PROFILE.code,
            "there is no profile of the {}'s heap: {error}",
            S::OWN
        );
    }
    let site = Arc::new(Site { subject, dumped: Mutex::new(None) });
    let task = tokio::spawn(accept(listener, site));
    Ok(Some(Server { task, _name: name }))
}

async fn accept<S: Subject>(listener: Listener, site: Arc<Site<S>>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let site = Arc::clone(&site);
        let heard = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(converse(stream, site, place));
            }),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(converse(stream, site, place));
            }),
        };
        let pause = match heard {
            Ok(()) => BETWEEN,
            Err(error) => {
                tracing::debug!(%error, "nobody can be let in");
                PAUSE
            }
        };
        sleep(pause).await;
    }
}

/// One request, one answer.
async fn converse<S: Subject>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    site: Arc<Site<S>>,
    _place: OwnedSemaphorePermit,
) {
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MAX_BYTES).max_headers(MAX_HEADERS);
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let answers = service_fn(|request| {
        let site = &*site;
        async move { Ok::<_, Infallible>(answer(&request, site).await) }
    });
    // Whoever asked has gone, was too slow, or made no sense.
    let _ = timeout(WHOLE, http.serve_connection(TokioIo::new(stream), answers)).await;
    site.subject.answered();
}

async fn answer<S: Subject>(request: &Request<Incoming>, site: &Site<S>) -> Response<Full<Bytes>> {
    let mut answer = route(request, site).await;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn route<S: Subject>(request: &Request<Incoming>, site: &Site<S>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !["/healthz", "/readyz", "/metrics", "/status", "/debug/pprof/heap"].contains(&path) {
        return of(
            StatusCode::NOT_FOUND,
            PLAIN,
            "there is /healthz, /readyz, /metrics, /status and /debug/pprof/heap\n",
        );
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut answer = of(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET and HEAD only\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let subject = &site.subject;
    match path {
        "/healthz" => verdict(subject.alive()),
        "/readyz" => verdict(subject.ready()),
        "/metrics" => match subject.metrics() {
            Ok(text) => of(StatusCode::OK, metrics::CONTENT_TYPE, text),
            Err(error) => of(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n")),
        },
        "/status" => of(StatusCode::OK, "application/json", format!("{:#}\n", subject.status())),
        _ => match profile(request.uri().query().unwrap_or_default(), site).await {
            Ok(profile) => of(StatusCode::OK, "application/octet-stream", profile),
            Err((code, why)) => of(code, PLAIN, why + "\n"),
        },
    }
}

fn of(code: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn verdict((well, why): Verdict) -> Response<Full<Bytes>> {
    of(if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, PLAIN, why)
}

type Refused = (StatusCode, String);

/// `?process=NAME&allocated=true|false`.
async fn profile<S: Subject>(query: &str, site: &Site<S>) -> Result<Vec<u8>, Refused> {
    let names: Vec<_> = S::OTHERS.iter().copied().chain([S::OWN]).collect();
    let (mut process, mut allocated) = (names[0], false);
    for parameter in query.split('&').filter(|it| !it.is_empty()) {
        let named = parameter.strip_prefix("process=");
        let named = named.and_then(|name| names.iter().find(|it| **it == name));
        match (named, parameter) {
            (Some(name), _) => process = name,
            (None, "allocated=true") => allocated = true,
            (None, "allocated=false") => allocated = false,
            _ => {
                let names = names.join("|");
                let why = format!("there is process={names} and allocated=true|false");
                return Err((StatusCode::BAD_REQUEST, why));
            }
        }
    }
    if !site.subject.settings().heap_profile {
        return Err((StatusCode::NOT_FOUND, "telemetry.heap_profile is off".to_owned()));
    }
    if allocated {
        let counted = site.subject.counts_allocated(process);
        counted.map_err(|why| (StatusCode::NOT_FOUND, why.to_owned()))?;
    }
    if !site.may_dump() {
        let why = "there was one within the last two seconds".to_owned();
        return Err((StatusCode::TOO_MANY_REQUESTS, why));
    }
    let text = if process == S::OWN {
        heap::dump().map_err(NoHeap::Failed)
    } else {
        site.subject.heap_of(process).await
    };
    let converted = text.and_then(|text| {
        let mut read = String::new();
        text.take(MAX_PROFILE).read_to_string(&mut read)?;
        Ok(profile::convert(&read, allocated).map_err(io::Error::other)?)
    });
    converted.map_err(|why| refused(&why))
}

fn refused(why: &NoHeap) -> Refused {
    let code = match why {
        NoHeap::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        NoHeap::Late(_) => StatusCode::GATEWAY_TIMEOUT,
        NoHeap::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (code, why.to_string())
}

impl<S> Site<S> {
    /// Whether the last profile is long enough ago; if so, there is one now.
    fn may_dump(&self) -> bool {
        let mut dumped = self.dumped.lock().unwrap_or_else(PoisonError::into_inner);
        let may = dumped.is_none_or(|dumped| dumped.elapsed() >= BETWEEN_PROFILES);
        if may {
            *dumped = Some(Instant::now());
        }
        may
    }
}
