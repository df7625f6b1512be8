use anyhow::Result;
use wanglou_testkit::{containers::Docker, lock};

use crate::{
    engine::{self, Expected},
    programs_of,
};

/// On a containerd that speaks CRI as well, and knows nothing of Docker's containers there.
#[test]
fn dockers_containers_are_told_of() -> Result<()> {
    let Some(programs) = programs_of(&Docker::PROGRAMS) else { return Ok(()) };
    let _turn = lock::alone()?;
    let mut docker = Docker::start(&programs)?;
    let cri = docker.containerd().socket();
    let keeper = "containerd-shim";
    engine::check(&mut docker.engine, &cri, Expected { runtime: "docker", elsewhere: None, keeper })
}
