//! `connections <folder> <total> <servers> <clients> <address|null> [spread]`: so many TCP
//! connections over the loopback device of a network namespace of its own, from clients to servers
//! that share one listening socket. Client and server write what they did to `<folder>/<pid>`, a line
//! a connection: the client's port, bytes sent, bytes received. With `spread` packets are received on
//! the CPU that did not send them, as from a network card. Prints how long the clients took, in ns.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::sys;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [folder, total, servers, clients, how, spread @ ..] = &args[..] else {
        anyhow::bail!("usage: connections <folder> <total> <servers> <clients> <address|null>")
    };
    let (total, servers, clients): (u64, u64, u64) =
        (total.parse()?, servers.parse()?, clients.parse()?);
    let folder = PathBuf::from(folder);
    own_network(!spread.is_empty())?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    for _ in 0..servers {
        in_child(|| serve(&listener, how == "null", &folder))?;
    }
    drop(listener);
    let start = Instant::now();
    let mut children = Vec::new();
    for client in 0..clients {
        let share = total / clients + u64::from(client < total % clients);
        children.push(in_child(|| connect_all(address, share, &folder))?);
    }
    for _ in children {
        reap()?;
    }
    println!("{}", start.elapsed().as_nanos());
    for _ in 0..servers {
        TcpStream::connect(address)?.write_all(&0_u32.to_ne_bytes())?;
    }
    for _ in 0..servers {
        reap()?;
    }
    Ok(())
}

fn own_network(spread: bool) -> Result<()> {
    sys::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS)?;
    sys::loopback_up()?;
    if spread {
        // sysfs shows the network namespace of whoever mounted it.
        sys::mount_private()?;
        sys::mount_sysfs(Path::new("/sys"))?;
        fs::write("/sys/class/net/lo/queues/rx-0/rps_cpus", "3")
            .context("cannot steer packets: /sys/class/net/lo/queues/rx-0/rps_cpus")?;
    }
    Ok(())
}

fn in_child(act: impl FnOnce() -> Result<()>) -> Result<u32> {
    if let Some(child) = sys::fork()? {
        return Ok(child);
    }
    if let Err(error) = act() {
        eprintln!("connections: {error:#}");
        sys::exit_group(1);
    }
    sys::exit_group(0);
}

fn reap() -> Result<()> {
    let ended = sys::wait_any()?.context("no child to wait for")?;
    ensure!(ended.status == 0, "child {} failed", ended.pid);
    Ok(())
}

/// Each request says how long it is; one of no length is the last.
fn serve(listener: &TcpListener, null: bool, folder: &Path) -> Result<()> {
    let (mut log, mut buffer) = (String::new(), Vec::new());
    loop {
        let mut stream = if null { sys::accept_null(listener)? } else { listener.accept()?.0 };
        let mut len = [0; 4];
        stream.read_exact(&mut len)?;
        let len = u32::from_ne_bytes(len) as usize;
        if len == 0 {
            return save(folder, &log);
        }
        buffer.resize(len * 2, b'y');
        stream.read_exact(&mut buffer[..len])?;
        stream.write_all(&buffer)?;
        let port = stream.peer_addr()?.port();
        writeln!(log, "{port} {} {}", buffer.len(), len + 4)?;
    }
}

fn connect_all(address: SocketAddr, share: u64, folder: &Path) -> Result<()> {
    let (mut log, mut request) = (String::new(), Vec::new());
    for i in 0..share {
        let len = 1 + i % 997;
        request.clear();
        request.extend((len as u32).to_ne_bytes());
        request.resize(4 + len as usize, b'x');
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&request)?;
        let received = io::copy(&mut stream, &mut io::sink())?;
        writeln!(log, "{} {} {received}", stream.local_addr()?.port(), request.len())?;
    }
    save(folder, &log)
}

fn save(folder: &Path, log: &str) -> Result<()> {
    Ok(fs::write(folder.join(process::id().to_string()), log)?)
}
