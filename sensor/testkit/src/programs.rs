//! Programs of others, as they are: their processes end with the value.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{proc, scratch::Scratch};

const PATIENCE: Duration = Duration::from_secs(20);

/// Whether all of these can be run; says which cannot, for a test that is skipped then.
pub fn installed(names: &[&str]) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| {
        let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
        folders.into_iter().any(|folder| folder.join(name).is_file())
    };
    match names.iter().find(|name| !found(name)) {
        Some(missing) => {
            eprintln!("skipped: {missing} is not installed");
            false
        }
        None => true,
    }
}

/// nginx, on a port of the loopback address.
#[derive(Debug)]
pub struct Nginx {
    master: Child,
    port: u16,
    _scratch: Scratch,
}

impl Nginx {
    /// Answers every request itself, with a few bytes.
    pub fn serving() -> Result<Self> {
        Self::start("return 200 hello;")
    }

    /// Asks another server, over a new connection each time.
    pub fn proxying(to: u16) -> Result<Self> {
        Self::start(&format!("proxy_pass http://127.0.0.1:{to};"))
    }

    fn start(location: &str) -> Result<Self> {
        let scratch = Scratch::new("nginx")?;
        let port = free_port()?;
        let folder = scratch.path().display();
        let config = format!(
            "daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
             events {{ worker_connections 8192; }}\n\
             http {{\n  access_log off;\n  client_body_temp_path {folder}/body;\n  \
             proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
             uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  \
             keepalive_requests 1000000000;\n  \
             server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {location} }} }}\n}}\n"
        );
        let path = scratch.join("nginx.conf");
        fs::write(&path, config)?;
        let master = Command::new("nginx")
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start nginx: apt-get install nginx-light")?;
        let mut nginx = Self { master, port, _scratch: scratch };
        nginx.wait_until_ready()?;
        Ok(nginx)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The processes that do the work.
    pub fn workers(&self) -> Vec<u32> {
        proc::children(self.master.id())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if let Some(status) = self.master.try_wait()? {
                bail!("nginx ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("nginx does not listen after {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its workers; there is nobody left to tell of a failure.
        let _ = crate::sys::kill(self.master.id(), libc::SIGTERM);
        let _ = self.master.wait();
    }
}

/// Python's own web server over a folder, on a port of the loopback address.
#[derive(Debug)]
pub struct Python {
    child: Child,
    port: u16,
}

impl Python {
    /// Serves a folder.
    pub fn serving(folder: &Scratch) -> Result<Self> {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start python3: apt-get install python3")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        let port = line.split_whitespace().nth(5).and_then(|word| word.parse().ok());
        let port = port.with_context(|| format!("python3 says {line:?}"))?;
        Ok(Self { child, port })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has just now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
