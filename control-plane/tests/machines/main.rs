//! `docs/deploy/hosts.md`, word for word: three members of etcd, two replicas, five hosts with a container each, and an operator,
//! on eleven machines that are namespaces of this one.
//!
//! ```text
//! page      what is to be run, and where        machine   namespaces, with packages of their own
//! fleet     all machines, and the network       services  what stands in for systemd; unit: what it reads
//! mirror    what stands in for Debian's          container what hosts do
//! checks    what has to be so
//! ```
//!
//! Blocks of the page are run as they stand. What is another than on machines of one's own:
//!
//! | instead of | is | because |
//! | --- | --- | --- |
//! | systemd | `services.rs`, `systemctl.pl` | it has to be the first process, and sensors want to see all of them |
//! | sshd | a program `ssh` on `ops` that enters the namespaces (`fleet.rs`) | keys of ssh are nothing of ours |
//! | a mirror of Debian | a folder with etcd's packages (`mirror.rs`) | these machines reach nothing but each other |
//! | DNS | `/etc/hosts` | the page leaves the choice |
//! | NFS | a folder that is mounted on all machines | the kernel of this one serves none |
//! | kernels | one, and one list of processes | so each sensor tells of all containers, and each host's own rows are looked at |
//! | Wanglou's packages | of debug builds of the control plane, by the code of `cargo xtask dist` | a release build takes minutes |

mod checks;
mod container;
mod fleet;
mod machine;
mod mirror;
mod page;
mod services;
mod unit;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use container::Container;
use fleet::Machines;
use page::Page;
use wanglou_testkit::{containers, lock, root_or_skip};

const PAGE: &str = "../docs/deploy/hosts.md";
const HOSTS: [&str; 5] = ["host-1", "host-2", "host-3", "host-4", "host-5"];

#[test]
fn who_does_what_the_page_says_has_a_fleet() -> Result<()> {
    let Some(packages) = packages() else { return Ok(()) };
    if !root_or_skip() {
        return Ok(());
    }
    let Some(programs) = containers::programs() else { return Ok(()) };
    let _turn = lock::alone()?;
    let mut page = Page::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE))?;
    let machines = Machines::start(&packages)?;
    let done = follow(&mut page, &machines, &programs);
    done.with_context(|| machines.complaint())?;
    machines.end()
}

fn follow(page: &mut Page, machines: &Machines, programs: &containers::Programs) -> Result<()> {
    let mut done = |section: &str| -> Result<()> {
        let started = Instant::now();
        for block in page.take(section)? {
            let told = machines.run(&block)?;
            if block.machines == ["ops"] && told.lines().count() < 30 {
                println!("{told}");
            }
        }
        println!("{section}: {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    };
    done("Certificates")?;
    done("etcd")?;
    checks::members_are_healthy(machines)?;
    done("Replicas")?;
    checks::replicas_are_ready(machines)?;
    done("Hosts")?;
    let hosts = HOSTS.iter().enumerate();
    let start = |(n, name): (usize, &&str)| Container::start(machines.named(name)?, n, programs);
    let containers = hosts.map(start).collect::<Result<Vec<_>>>()?;
    done("The operator")?;
    checks::hosts_are(machines, HOSTS.map(|name| (name, "alive")))?;
    for container in &containers {
        checks::is_in_the_lake(machines, container)?;
    }
    done("An event of a container")?;
    done("A host is stopped")?;
    let of_first = |state| HOSTS.map(|name| (name, if name == "host-1" { state } else { "alive" }));
    checks::hosts_are(machines, of_first("stopped"))?;
    done("And started")?;
    checks::hosts_are(machines, of_first("alive"))?;
    checks::books_balance(machines)?;
    page.is_done()
}

/// Where they are; says so if they are not.
fn packages() -> Option<PathBuf> {
    let folder = env::var_os("WANGLOU_PACKAGES").map(PathBuf::from);
    if folder.is_none() {
        eprintln!(
            "skipped: there are no packages: `cargo xtask test` makes them, and sets WANGLOU_PACKAGES"
        );
    }
    folder
}
