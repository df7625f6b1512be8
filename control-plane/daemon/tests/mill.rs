//! A program with an event loop of several threads: it answers for itself, and its log has its name.

use std::{
    fmt, fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::{Value, json};
use wanglou_daemon::{
    log::{self, Process, Role},
    service::{Told, Word},
    telemetry::{
        self, Subject, Telemetry, Verdict,
        metrics::{self, Metric, MetricType, Row, one},
    },
};

wanglou_daemon::allocator!("background_thread:false");

const MILL: Process = Process { program: "wanglou-mill", name: "mill", role: Role::Service };

type Rows = fn() -> Vec<Row>;

static METRICS: &[Metric<Rows>] = &[Metric {
    name: "stones",
    unit: None,
    kind: MetricType::Gauge,
    help: "Stones.",
    rows: || one(metrics::Value::Whole(2)),
}];

struct Mill(Telemetry);

impl Subject for Mill {
    const OWN: &'static str = "mill";

    fn settings(&self) -> Telemetry {
        self.0.clone()
    }

    fn alive(&self) -> Verdict {
        (true, "it turns\n".to_owned())
    }

    fn ready(&self) -> Verdict {
        (false, "no grain\n".to_owned())
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        metrics::text("wanglou_mill", METRICS, |rows| rows())
    }

    fn status(&self) -> Value {
        json!({"stones": 2})
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_of_several_threads_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    log::init(MILL);
    log::configure(&log::Settings {
        to: log::Destination::Files,
        directory: folder.path().to_owned(),
        ..log::Settings::default()
    });
    let socket = folder.path().join("socket");
    let listen = format!("unix:{}", socket.display()).parse().expect("a place");
    let settings = Telemetry { listen, ..Telemetry::default() };
    let server = telemetry::serve(Mill(settings)).await.expect("a server").expect("it is on");

    let mut told = Told::new(folder.path().join("mill.toml")).expect("signals");
    let heard = tokio::spawn(async move { told.next().await });
    assert_eq!(heard.await.expect("a word"), Word::Tick);

    let asked = tokio::task::spawn_blocking(move || {
        let said = |path: &str| ask(&socket, path);
        assert_eq!(said("/healthz"), (200, "it turns\n".to_owned()));
        assert_eq!(said("/readyz"), (503, "no grain\n".to_owned()));
        assert!(said("/metrics").1.contains("\nwanglou_mill_stones 2\n"));
        assert_eq!(said("/status"), (200, "{\n  \"stones\": 2\n}\n".to_owned()));
        assert!(said("/").1.contains("/healthz"));
        let heap = |query: &str| said(&format!("/debug/pprof/heap{query}"));
        let (code, why) = heap("?process=worker");
        assert_eq!((code, &*why), (400, "there is process=mill and allocated=true|false\n"));
        assert_eq!(heap("?process=mill&allocated=true").0, 404);
        let (code, profile) = heap("");
        assert!(code == 200 && profile.len() > 100, "{code}: {profile}");
        assert_eq!(heap("?process=mill").0, 429, "it may not be asked for all the time");
        socket
    });
    let socket = asked.await.expect("answers");
    server.end().await;
    assert!(!socket.exists(), "the socket is gone with the server");

    log::finish();
    let lines = fs::read_to_string(folder.path().join("mill.0.log")).expect("a log");
    let expected =
        format!(" notice mill telemetry::listen [WL1017]: telemetry: unix:{}", socket.display());
    assert!(lines.contains(&expected), "{lines}");
}

fn ask(socket: &Path, path: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).expect("somebody listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: mill\r\n\r\n").expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, body.to_owned())
}
