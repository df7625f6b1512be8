//! Asks Docker, or who speaks like it, over its socket.

use std::path::Path;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::net::UnixStream;

use super::asker::{ANSWER_BYTES, AskError};
use super::details::{Details, Source, cut, labels};

/// What the daemon at a socket knows of a container; `None` if that is nothing.
pub(super) async fn ask(socket: &Path, id: &str) -> Result<Option<Details>, AskError> {
    let connection = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    let request = Request::get(format!("/containers/{id}/json"))
        .header(HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| AskError::Refused(error.to_string()))?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| AskError::Refused(error.to_string()))?.to_bytes();
        match status {
            StatusCode::OK => Ok(details(&body)),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(AskError::Refused(other.to_string())),
        }
    };
    // All is over when the answer is there; a connection that ends first fails the answer.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}

/// From `GET /containers/ID/json`.
fn details(body: &[u8]) -> Option<Details> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let none = Map::new();
    let own = value.pointer("/Config/Labels").and_then(Value::as_object).unwrap_or(&none);
    let all = own.iter().filter_map(|(key, value)| Some((&**key, value.as_str()?)));
    Some(Details {
        runtime: "docker".to_owned(),
        source: Source::Docker,
        name: cut(text("/Name").trim_start_matches('/')),
        image: cut(text("/Config/Image")),
        labels: labels(all),
        ..Details::default()
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    /// Cut from what Docker 24 answers.
    const ANSWER: &str = r#"{"Id":"9f8e","Created":"2026-11-30T10:00:00Z","Path":"nginx","Name":"/shop-web-1",
        "State":{"Status":"running","Pid":812},"Image":"sha256:0123","Config":{"Hostname":"9f8e7d6c5b4a",
        "Image":"nginx:1.27","Labels":{"com.docker.compose.project":"shop","tier":"front"}}}"#;

    #[test]
    fn what_docker_says_is_read() {
        let expected = Details {
            runtime: "docker".to_owned(),
            source: Source::Docker,
            name: "shop-web-1".to_owned(),
            image: "nginx:1.27".to_owned(),
            labels: "com.docker.compose.project=shop\0tier=front\0".to_owned(),
            ..Details::default()
        };
        assert_eq!(details(ANSWER.as_bytes()), Some(expected));
        assert_eq!(details(b"{}").map(|it| it.name), Some(String::new()));
        assert_eq!(details(b"no"), None);
    }

    async fn answered(answer: String) -> Result<Option<Details>, AskError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let daemon = async {
            let (mut peer, _) = listener.accept().await.expect("a peer");
            let mut request = [0; 1024];
            let read = peer.read(&mut request).await.expect("a request");
            peer.write_all(answer.as_bytes()).await.expect("a reader");
            String::from_utf8_lossy(&request[..read]).into_owned()
        };
        let (request, found) = tokio::join!(daemon, ask(&path, "9f8e"));
        assert!(request.starts_with("GET /containers/9f8e/json HTTP/1.1\r\n"), "{request}");
        found
    }

    #[tokio::test]
    async fn a_daemon_is_asked_over_its_socket() {
        let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{ANSWER}", ANSWER.len());
        assert_eq!(answered(ok).await.expect("an answer").expect("known").name, "shop-web-1");
        let unknown = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}".to_owned();
        assert_eq!(answered(unknown).await.expect("an answer"), None);
        let broken = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned();
        assert!(answered(broken).await.is_err());
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(ANSWER_BYTES + 1));
        assert!(answered(endless).await.is_err());
        assert!(answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_owned()).await.is_err());
    }
}
