//! Requests and answers. None of them may harm the sensor: there are few at once, each is short, and who is
//! slow is left.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

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
use super::state::{NoHeap, State};
use super::{health, heap, metrics, profile, status};
use crate::image;
use crate::log::ids;

/// Connections at once; more wait for one of them to end.
const CONNECTIONS: usize = 4;
/// From one connection to the next: answers count against the sensor's own budget, which nobody shall use up.
const BETWEEN: Duration = Duration::from_millis(50);
/// The same from one profile to the next.
const BETWEEN_PROFILES: Duration = Duration::from_secs(2);
/// Time for a request to be here whole.
const HEADERS: Duration = Duration::from_secs(2);
/// Time for a connection from its beginning to its end.
const WHOLE: Duration = Duration::from_secs(10);
/// Time for a worker to write its profile.
const PROFILE: Duration = Duration::from_secs(5);
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

/// Begins to answer, if that is wanted; needs an event loop.
pub async fn serve(state: &State) -> Result<Option<Server>, ListenError> {
    let settings = state.lock().effective.config.telemetry.clone();
    let Some((listener, name)) = listen::listen(&settings.listen).await? else { return Ok(None) };
    if let Err(error) = heap::switch(settings.wants_heap_profile()) {
        tracing::warn!(
            id = ids::NO_HEAP_PROFILE.code,
            "there is no profile of the supervisor's heap: {error}"
        );
    }
    let task = tokio::spawn(accept(listener, state.clone()));
    Ok(Some(Server { task, _name: name }))
}

async fn accept(listener: Listener, state: State) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let state = state.clone();
        let heard = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(converse(stream, state, place));
            }),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(converse(stream, state, place));
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
async fn converse<S>(stream: S, state: State, _place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MAX_BYTES).max_headers(MAX_HEADERS);
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let answers = service_fn(|request| {
        let state = &state;
        async move { Ok::<_, Infallible>(answer(&request, state).await) }
    });
    // Whoever asked has gone, was too slow, or made no sense.
    let _ = timeout(WHOLE, http.serve_connection(TokioIo::new(stream), answers)).await;
    image::give_back();
}

async fn answer(request: &Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
    let mut answer = route(request, state).await;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn route(request: &Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
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
    match path {
        "/healthz" => verdict(health::alive(&state.lock())),
        "/readyz" => verdict(health::ready(&state.lock())),
        "/metrics" => match metrics::text(&state.lock()) {
            Ok(text) => of(StatusCode::OK, metrics::CONTENT_TYPE, text),
            Err(error) => of(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n")),
        },
        "/status" => {
            of(StatusCode::OK, "application/json", format!("{:#}\n", status::json(&state.lock())))
        }
        _ => match heap(request.uri().query().unwrap_or_default(), state).await {
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

fn verdict((well, why): health::Verdict) -> Response<Full<Bytes>> {
    of(if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, PLAIN, why)
}

type Refused = (StatusCode, String);

/// `?process=supervisor|worker&allocated=true|false`.
async fn heap(query: &str, state: &State) -> Result<Vec<u8>, Refused> {
    let refuse = |code, why: &str| Err((code, why.to_owned()));
    let (mut worker, mut allocated) = (true, false);
    for parameter in query.split('&').filter(|it| !it.is_empty()) {
        match parameter {
            "process=worker" => worker = true,
            "process=supervisor" => worker = false,
            "allocated=true" => allocated = true,
            "allocated=false" => allocated = false,
            _ => {
                let why = "there is process=worker|supervisor and allocated=true|false";
                return refuse(StatusCode::BAD_REQUEST, why);
            }
        }
    }
    let settings = state.lock().effective.config.telemetry.clone();
    if !settings.heap_profile {
        return refuse(StatusCode::NOT_FOUND, "telemetry.heap_profile is off");
    }
    if allocated && !(worker && settings.heap_accumulated) {
        let why =
            "allocated=true is for the worker only, and where telemetry.heap_accumulated is on";
        return refuse(StatusCode::NOT_FOUND, why);
    }
    if !state.may_dump(BETWEEN_PROFILES) {
        return refuse(StatusCode::TOO_MANY_REQUESTS, "there was one within the last two seconds");
    }
    let text = if worker { of_worker(state).await? } else { heap::dump().map_err(failed)? };
    let mut read = String::new();
    text.take(MAX_PROFILE).read_to_string(&mut read).map_err(failed)?;
    profile::convert(&read, allocated).map_err(failed)
}

async fn of_worker(state: &State) -> Result<File, Refused> {
    let unavailable = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
    let answer = state.ask().map_err(|why| match why {
        NoHeap::NoWorker => unavailable("there is no worker that is ready"),
        NoHeap::Busy => unavailable("the worker has been asked already"),
        NoHeap::Deaf(error) => unavailable(&format!("the worker cannot be asked: {error}")),
    })?;
    match timeout(PROFILE, answer).await {
        Ok(Ok(text)) => text.map(File::from).map_err(failed),
        Ok(Err(_)) => Err(unavailable("the worker is gone")),
        Err(_) => Err((StatusCode::GATEWAY_TIMEOUT, "the worker does not answer".to_owned())),
    }
}

fn failed(error: impl fmt::Display) -> Refused {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("there is no profile: {error}"))
}
