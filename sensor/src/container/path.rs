//! Which container a cgroup belongs to, by its path alone: runtimes have few ways to name a cgroup.
//!
//! ```text
//! /kubepods/burstable/podUID/ID                                             cgroupfs, any runtime
//! /kubepods.slice/kubepods-podUID.slice/cri-containerd-ID.scope             systemd
//! /system.slice/containerd.service/kubepods-podUID.slice:cri-containerd:ID  systemd's names, on cgroupfs
//! /docker/ID   /system.slice/docker-ID.scope                                Docker
//! /machine.slice/libpod-ID.scope/container   /libpod_parent/libpod-ID       Podman
//! /machine.slice/machine-NAME.scope/payload                                 systemd-nspawn
//! /machine.slice/systemd-nspawn@NAME.service/payload                        its service; on v1 without the last part
//! /lxc.payload.NAME   /lxc/NAME                                             LXC
//! ```

use std::borrow::Cow;

/// Names longer than this are none.
const NAME_BYTES: usize = 128;

/// A container, as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its id, or its name where the runtime has no ids.
    pub id: Cow<'a, str>,
    /// What runs it; `None` where the path does not tell.
    pub runtime: Option<&'static str>,
}

/// The innermost container that the cgroup at a path lies in, if there is one.
pub fn named(path: &[u8]) -> Option<Named<'_>> {
    let path = str::from_utf8(path).ok()?;
    let mut rest = path.trim_end_matches('/');
    let mut below = "";
    while let Some((above, name)) = rest.rsplit_once('/') {
        let parent = above.rsplit_once('/').map_or(above, |(_, parent)| parent);
        if let Some(found) = by_id(name, parent).or_else(|| by_name(name, parent, below)) {
            return Some(found);
        }
        (rest, below) = (above, name);
    }
    None
}

/// `ID`, `RUNTIME-ID`, `SLICE:RUNTIME:ID`, with or without `.scope`.
fn by_id<'a>(name: &'a str, parent: &str) -> Option<Named<'a>> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let named = |id: &'a str, runtime| Some(Named { id: Cow::Borrowed(id), runtime });
    if is_id(name) {
        let runtime = match parent {
            "docker" => Some("docker"),
            "libpod_parent" => Some("podman"),
            _ => None,
        };
        return named(name, runtime);
    }
    if is_task_id(name) {
        return named(name, None);
    }
    let (prefix, id) = name.rsplit_once(['-', ':']).filter(|(_, id)| is_id(id))?;
    let prefix = prefix.rsplit_once(':').map_or(prefix, |(_, prefix)| prefix);
    // Those of `conmon`, which looks after a container, are cgroups of the host.
    let runtime = match prefix {
        "docker" => "docker",
        "cri-containerd" | "containerd" | "nerdctl" => "containerd",
        "crio" => "cri-o",
        "libpod" | "libpod-payload" => "podman",
        _ => return None,
    };
    named(id, Some(runtime))
}

/// Of runtimes that call a container by its name. `below` is the next name on the path.
fn by_name<'a>(name: &'a str, parent: &str, below: &str) -> Option<Named<'a>> {
    let (id, runtime) = if let Some(name) = name.strip_prefix("lxc.payload.") {
        (Cow::Borrowed(name), "lxc")
    } else if matches!(parent, "lxc" | "lxc.payload") {
        (Cow::Borrowed(name), "lxc")
    } else {
        let scope = name.strip_prefix("machine-").and_then(|it| it.strip_suffix(".scope"));
        let scope = scope.filter(|_| parent == "machine.slice");
        let service = name.strip_prefix("systemd-nspawn@");
        let service = service.and_then(|it| it.strip_suffix(".service"));
        let id = unescaped(scope.or(service)?)?;
        // A virtual machine shares no kernel, and what looks after a container is not in it.
        if id.starts_with("qemu-") || below == "supervisor" {
            return None;
        }
        let runtime = if id.starts_with("lxc-") { "lxc" } else { "systemd-nspawn" };
        (id, runtime)
    };
    let is_name = !id.is_empty() && id.len() <= NAME_BYTES;
    is_name.then_some(Named { id, runtime: Some(runtime) })
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_hex)
}

/// Of a task of Amazon's ECS on Fargate: 32 digits, and ten decimal ones.
fn is_task_id(text: &str) -> bool {
    let Some((task, container)) = text.split_once('-') else { return false };
    let is_decimal = container.len() == 10 && container.bytes().all(|it| it.is_ascii_digit());
    task.len() == 32 && task.bytes().all(is_hex) && is_decimal
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Undoes what systemd does to names (`systemd-escape(1)`): `\x2d` is a hyphen.
fn unescaped(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains('\\') {
        return Some(Cow::Borrowed(name));
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('\\') {
        let digits = after.strip_prefix('x')?.get(..2)?;
        plain.extend_from_slice(before.as_bytes());
        plain.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[3..];
    }
    plain.extend_from_slice(rest.as_bytes());
    String::from_utf8(plain).ok().map(Cow::Owned)
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
