//! Whether the host goes down, and the service with it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Time for the manager to answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// As systemd says, where it is the manager of this host (`sd_booted(3)`).
pub(super) async fn is_under_way() -> bool {
    if !Path::new("/run/systemd/system").exists() {
        return false;
    }
    let mut command = Command::new("systemctl");
    command.arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let asked = timeout(PATIENCE, command.output()).await;
    matches!(asked, Ok(Ok(output)) if output.stdout.trim_ascii() == b"stopping")
}
