use std::path::Path;

use anyhow::{Context, Result};
use wanglou_testkit::{containers::Podman, lock};

use crate::{
    engine::{self, Expected},
    programs_of,
};

/// By Docker's API, which Podman's service speaks.
#[test]
fn podmans_containers_are_told_of() -> Result<()> {
    for runtime in ["crun", "runc"] {
        let Some(programs) = programs_of(&Podman::PROGRAMS) else { return Ok(()) };
        let _turn = lock::alone()?;
        let mut podman = Podman::start(&programs, runtime)?;
        let (nobody, keeper) = (Path::new("/nonexistent"), "conmon");
        let expected = Expected { runtime: "podman", elsewhere: Some("podman"), keeper };
        engine::check(&mut podman.engine, nobody, expected).with_context(|| runtime)?;
    }
    Ok(())
}
