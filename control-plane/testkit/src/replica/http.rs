//! As much of HTTP as it takes to ask a question on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MAX: u64 = 16 << 20;

/// Status and body.
///
/// # Errors
///
/// If nobody answers there, or what is no HTTP.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        // With 1.0, the answer is not in pieces and ends with the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX).read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    };
    let answer = timeout(PATIENCE, ask).await.context("no answer in time").flatten();
    answer.with_context(|| format!("cannot have http://{address}{path}"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn status_and_body_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut asked = [0; 64];
            let n = stream.read(&mut asked).await.expect("a question");
            assert!(asked[..n].starts_with(b"GET /readyz HTTP/1.0\r\n"));
            stream.write_all(b"HTTP/1.0 503 Not now\r\n\r\netcd is gone\n").await.expect("said");
        });
        let answer = get(address, "/readyz").await.expect("an answer");
        assert_eq!(answer, (503, "etcd is gone\n".to_owned()));
        server.await.expect("no panic");
    }
}
