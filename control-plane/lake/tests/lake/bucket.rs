//! A lake in a bucket, of a server that speaks S3 over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use object_store::ObjectStore;
use wanglou_lake::{Lake, Settings, location};

use crate::telling::{HOUR, NOW, Teller, open};
use crate::{python, reading};

const SOON: Duration = Duration::from_secs(60);

/// Keeps objects in memory for as long as it lives.
struct Server {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let Some(python) = python::with("moto[server,s3]", &folder.path().join("venv"))? else {
            return Ok(None);
        };
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let child = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { child, address, _folder: folder };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(start.elapsed() < SOON, "nobody listens at {address}");
            sleep(Duration::from_millis(50));
        }
        Ok(Some(server))
    }

    fn make_bucket(&self, name: &str) -> Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        let (host, mut answer) = (self.address, String::new());
        write!(
            stream,
            "PUT /{name} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )?;
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    }

    fn store(&self, location: &str) -> Result<Arc<dyn ObjectStore>> {
        let environment = [
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "somebody".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_SOMETHING_NEW", "that nobody knows yet".to_owned()),
            ("PATH", "/usr/bin".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        Ok(location::open(location, environment)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_bucket_is_as_good_as_a_folder() -> Result<()> {
    let Some(server) = Server::start()? else { return Ok(()) };
    server.make_bucket("events")?;
    let store = server.store("s3://events/fleets/own/")?;
    let (one, two) = (open(&store, "one").await?, open(&store, "two").await?);
    let mut host = Teller::new("a");
    let record = host.batch(&["exec", "fork", "exec"], NOW);
    one.store(record.clone()).await?;
    two.store(record).await?;
    two.store(host.batch(&["exec"], NOW - HOUR)).await?;
    let round = one.compact(NOW).await?;
    ensure!((round.records, round.duplicates) == (2, 1), "{round:?}");
    // Of two who compact at once one makes the next commit, and the other one finds that out.
    for minute in 0..5 {
        one.store(host.batch(&["exec"], NOW + minute)).await?;
        two.store(host.batch(&["fork"], NOW + minute)).await?;
        let both = tokio::join!(one.compact(NOW + minute), two.compact(NOW + minute));
        ensure!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
    }
    one.store(host.close(NOW)).await?;
    one.compact(NOW + HOUR).await?;
    ensure!(reading::published(&*store).await? == host.told().collect());
    let whole = server.store("s3://events")?;
    let paths = reading::paths(&*whole, "fleets/own/events").await?;
    ensure!(
        !paths.is_empty() && paths.iter().all(|path| path.contains("/dt=2026-11-22/")),
        "{paths:?}"
    );
    is_named(&server).await
}

/// A bucket that is not there.
async fn is_named(server: &Server) -> Result<()> {
    let store = server.store("s3://nowhere/lake")?;
    let lake = Lake::open(store, Settings::new("one")).await;
    let error = lake.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(error.contains("nowhere") && !error.contains('\n'), "{error}");
    let bad = server.store("s3:///lake").err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(bad.contains("s3://bucket/prefix"), "{bad}");
    Ok(())
}
