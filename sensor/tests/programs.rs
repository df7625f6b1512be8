//! Programs of others, from Debian: what they say to one another is told of whoever wrote them.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    Stream, Watch,
    event::{action, pid, text},
    lock, number,
    programs::{Nginx, Python, installed},
    root_or_skip,
    scratch::Scratch,
};

const FILE_BYTES: u64 = 123_456;

fn watch() -> Result<Watch> {
    Watch::builder().backend("ebpf").arg("--include-loopback").start()
}

fn of<'e>(stream: &'e Stream, pids: &[u32], wanted: &str) -> Vec<&'e Value> {
    let ours = |event: &&Value| pid(event).is_some_and(|pid| pids.contains(&pid));
    stream.events().iter().filter(ours).filter(|event| action(event) == wanted).collect()
}

fn curl(port: u16, path: &str) -> Result<u32> {
    let mut child = Command::new("curl")
        .args(["--silent", "--fail", "--output", "/dev/null"])
        .arg(format!("http://127.0.0.1:{port}/{path}"))
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start curl: apt-get install curl")?;
    ensure!(child.wait()?.success(), "curl failed");
    Ok(child.id())
}

#[test]
fn curl_from_python() -> Result<()> {
    if !root_or_skip() || !installed(&["curl", "python3"]) {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let folder = Scratch::new("python")?;
    fs::write(folder.join("file"), vec![b'x'; FILE_BYTES as usize])?;
    let watch = watch()?;
    let server = Python::serving(&folder)?;
    let client = curl(server.port(), "file")?;
    let stream = watch.stop()?.stream()?;

    let attempts = of(&stream, &[client], "connection_attempted");
    let accepts = of(&stream, &[server.pid()], "connection_accepted");
    ensure!(attempts.len() == 1 && accepts.len() == 1, "{attempts:?} {accepts:?}");
    for pid in [client, server.pid()] {
        let over = of(&stream, &[pid], "disconnect_received");
        ensure!(over.len() == 1, "{over:?}");
        let bytes = number(over[0], "destination.bytes").context("no bytes")?;
        ensure!((FILE_BYTES..FILE_BYTES + 1000).contains(&bytes), "{bytes} bytes of the file");
    }
    Ok(())
}

#[test]
fn nginx_as_a_proxy() -> Result<()> {
    const REQUESTS: usize = 20;
    if !root_or_skip() || !installed(&["curl", "python3", "nginx"]) {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let folder = Scratch::new("python")?;
    fs::write(folder.join("file"), vec![b'x'; FILE_BYTES as usize])?;
    let watch = watch()?;
    let backend = Python::serving(&folder)?;
    let proxy = Nginx::proxying(backend.port())?;
    let workers = proxy.workers();
    let clients: Vec<u32> =
        (0..REQUESTS).map(|_| curl(proxy.port(), "file")).collect::<Result<_>>()?;
    let stream = watch.stop()?.stream()?;

    let to =
        |port: u16| move |event: &&&Value| number(event, "destination.port") == Some(port.into());
    let count = |pids: &[u32], wanted: &str, port: u16| {
        of(&stream, pids, wanted).iter().filter(to(port)).count()
    };
    let taken = count(&workers, "connection_accepted", proxy.port());
    // One more was the question whether it listens.
    ensure!(taken == REQUESTS + 1, "workers took {taken} connections");
    let passed_on = count(&workers, "connection_attempted", backend.port());
    ensure!(passed_on == REQUESTS, "workers passed {passed_on} on");
    let answered = count(&[backend.pid()], "connection_accepted", backend.port());
    ensure!(answered == REQUESTS, "the backend took {answered}");
    let asked = count(&clients, "connection_attempted", proxy.port());
    ensure!(asked == REQUESTS, "clients asked {asked} times");
    for event in of(&stream, &workers, "connection_accepted") {
        ensure!(text(event, "wanglou.owner").is_none(), "an owner learnt late: {event}");
    }
    Ok(())
}

#[test]
fn python_asyncio() -> Result<()> {
    const CLIENTS: usize = 50;
    const SCRIPT: &str = "
import asyncio
async def serve(reader, writer):
    data = await reader.readexactly(10)
    writer.write(data * 3)
    await writer.drain()
    writer.close()
async def ask(port):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(b'0123456789')
    await reader.read()
    writer.close()
    await writer.wait_closed()
async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.gather(*[ask(port) for _ in range(50)])
    server.close()
asyncio.run(main())
";
    if !root_or_skip() || !installed(&["python3"]) {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let watch = watch()?;
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .spawn()
        .context("cannot start python3: apt-get install python3")?;
    ensure!(python.wait()?.success(), "python3 failed");
    let stream = watch.stop()?.stream()?;

    let pids = [python.id()];
    for (wanted, times) in
        [("connection_attempted", 1), ("connection_accepted", 1), ("disconnect_received", 2)]
    {
        let told = of(&stream, &pids, wanted);
        ensure!(told.len() == CLIENTS * times, "{} times {wanted}", told.len());
    }
    for event in of(&stream, &pids, "disconnect_received") {
        ensure!(number(event, "source.bytes") == Some(10), "{event}");
        ensure!(number(event, "destination.bytes") == Some(30), "{event}");
    }
    Ok(())
}
