use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::message::{Asked, Attached, Heap, Probe, Said, Start, VERSION};
use crate::books::Books;
use crate::channel;
use crate::config::Effective;
use crate::image;
use crate::log::{self, ids};
use crate::output::Format;
use crate::source::Source;
use crate::telemetry;
use crate::worker::{self, Options};

/// The worker's `main`: the socket to its supervisor is standard input.
pub async fn run_worker() -> Result<ExitCode> {
    let socket = rustix::stdio::stdin();
    let (start, fds) = channel::receive::<Start>(socket).context("cannot hear the supervisor")?;
    if start.version != VERSION {
        bail!("the supervisor speaks version {}, not {VERSION}", start.version);
    }
    // Nothing may go on without it, however it ends.
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot follow the supervisor")?;
    let mut fds = fds.into_iter().peekable();
    let books = Books::of(fds.next().context("there are no books")?)?;
    let uplink = fds.next_if(|_| start.has_uplink);
    let last = fds.next().map(Books::of).transpose()?;
    let config = Effective::of_text(&start.config)
        .map_err(|problems| {
            anyhow::anyhow!("{}", problems.first().map_or(String::new(), ToString::to_string))
        })?
        .config;
    log::set_level(&config.log.level);
    log::hand_over(start.alerts);
    if config.telemetry.wants_heap_profile()
        && let Err(error) = telemetry::switch_heap_profile(true)
    {
        tracing::warn!(
            id = ids::NO_HEAP_PROFILE.code,
            "there is no profile of the worker's heap: {error}"
        );
    }
    let request = config.request();
    let options = Options {
        backend: config.backend,
        format: Format::Json,
        outputs: config.outputs,
        request,
        modules: config.modules,
        budget: config.budget,
        books,
        last,
        runtimes: config.runtimes,
        uplink,
    };
    worker::work(options, gone(socket)?, |source| report(socket, source)).await
}

/// Hands over what its probes count and cost.
fn report(socket: BorrowedFd<'_>, source: &dyn Source) -> io::Result<()> {
    let handles = source.handles();
    let cpus = handles.as_ref().map_or(0, |handles| handles.cpus);
    let categories = handles.iter().flat_map(|it| &it.programs);
    let categories = categories.map(|(category, _)| *category as u32).collect();
    let fds: Vec<_> = handles
        .into_iter()
        .flat_map(|it| {
            std::iter::once(it.counters).chain(it.programs.into_iter().map(|(_, program)| program))
        })
        .collect();
    let probes = source.probes().into_iter();
    let probes = probes.map(|(name, instead)| Probe {
        name: name.to_owned(),
        instead: instead.map(ToOwned::to_owned),
    });
    let attached =
        Attached { cpus, describes: source.describe(), probes: probes.collect(), categories };
    channel::send(socket, &Said { version: VERSION, attached: Some(attached), heap: None }, &fds)
}

/// Writes a profile of the heap for the supervisor.
fn tell_of_heap(socket: BorrowedFd<'_>) -> io::Result<()> {
    let (error, profile) = match telemetry::dump_heap() {
        Ok(profile) => (None, Some(profile)),
        Err(error) => (Some(error.to_string()), None),
    };
    let fds: Vec<_> = profile.iter().map(|profile| profile.as_fd()).collect();
    let said = Said { version: VERSION, attached: None, heap: Some(Heap { error }) };
    let sent = channel::send(socket, &said, &fds);
    image::give_back();
    sent
}

/// Answers the supervisor until it says that it is enough, or is gone.
fn gone(socket: BorrowedFd<'static>) -> Result<impl Future<Output = ()>> {
    // One that is meant for the whole service is the supervisor's; a handler keeps it from ending us.
    drop(signal(SignalKind::hangup()).context("cannot handle SIGHUP")?);
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    // SAFETY: standard input stays open and the same.
    let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    let socket = socket.context("cannot watch the supervisor")?;
    Ok(async move {
        loop {
            let mut ready = tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                ready = socket.readable() => match ready {
                    Ok(ready) => ready,
                    Err(_) => return,
                },
            };
            match channel::try_receive::<Asked>(socket.get_ref()) {
                // What a later supervisor wants cannot be known.
                Ok((asked, _)) if asked.version != VERSION => {}
                Ok((asked, _)) => {
                    if let Some(Ok(levels)) = asked.log_level.map(|levels| levels.parse()) {
                        log::set_level(&levels);
                    }
                    if asked.heap && tell_of_heap(*socket.get_ref()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(_) => return,
            }
        }
    })
}
