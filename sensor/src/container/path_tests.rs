use proptest::prelude::*;

use super::*;

const ID: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0";
const OUTER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What a path names, `ID` and `OUTER` in it standing for ids.
fn of(path: &str) -> Option<(String, Option<&'static str>)> {
    let path = path.replace("OUTER", OUTER).replace("ID", ID);
    named(path.as_bytes()).map(|it| (it.id.replace(ID, "ID").replace(OUTER, "OUTER"), it.runtime))
}

#[track_caller]
fn all(expected: Option<(&str, Option<&'static str>)>, paths: &[&str]) {
    let expected = expected.map(|(id, runtime)| (id.to_owned(), runtime));
    for path in paths {
        assert_eq!(of(path), expected, "{path}");
    }
}

#[test]
fn docker() {
    all(
        Some(("ID", Some("docker"))),
        &[
            "/docker/ID",
            "/docker/ID/",
            "/system.slice/docker-ID.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
            // A container that runs systemd.
            "/docker/ID/init.scope",
            "/system.slice/docker-ID.scope/system.slice/ssh.service",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod8c1f7a52_0b1e.slice/docker-ID.scope",
        ],
    );
}

#[test]
fn containerd() {
    all(
        Some(("ID", Some("containerd"))),
        &[
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8c1f7a52_0b1e_4d3a.slice/cri-containerd-ID.scope",
            "/system.slice/containerd.service/kubepods-burstable-pod8c1f7a52_0b1e.slice:cri-containerd:ID",
            "/kubepods-pod8c1f7a52_0b1e.slice:cri-containerd:ID",
            "/system.slice/nerdctl-ID.scope",
            "/k8s.io/cri-containerd-ID",
        ],
    );
}

/// Where the driver is cgroupfs the path does not tell whose it is.
#[test]
fn of_any_runtime() {
    all(
        Some(("ID", None)),
        &[
            "/kubepods/burstable/pod8c1f7a52-0b1e-4d3a-9a53-5f6c1d0e9b11/ID",
            "/kubepods/pod8c1f7a52-0b1e-4d3a-9a53-5f6c1d0e9b11/ID",
            "/default/ID",
            "/k8s.io/ID",
            "/ecs/0123456789abcdef0123456789abcdef/ID",
        ],
    );
    all(
        Some(("0123456789abcdef0123456789abcdef-2531612879", None)),
        &["/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-2531612879"],
    );
}

#[test]
fn cri_o() {
    all(
        Some(("ID", Some("cri-o"))),
        &[
            "/kubepods.slice/kubepods-pod8c1f7a52_0b1e.slice/crio-ID.scope",
            "/kubepods.slice/kubepods-pod8c1f7a52_0b1e.slice/crio-ID.scope/container",
            "/kubepods/besteffort/pod8c1f7a52-0b1e/crio-ID",
        ],
    );
}

#[test]
fn podman() {
    all(
        Some(("ID", Some("podman"))),
        &[
            "/machine.slice/libpod-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/libpod_parent/libpod-ID",
            "/libpod_parent/ID",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "/system.slice/web.service/libpod-payload-ID",
        ],
    );
}

#[test]
fn by_their_names() {
    all(
        Some(("web-1", Some("systemd-nspawn"))),
        &[
            "/machine.slice/machine-web\\x2d1.scope",
            "/machine.slice/machine-web\\x2d1.scope/payload",
            "/machine.slice/machine-web\\x2d1.scope/payload/system.slice/ssh.service",
            "/machine.slice/systemd-nspawn@web\\x2d1.service/payload",
            // As `systemctl start` names it, and on v1, where it is that of the supervisor as well.
            "/machine.slice/systemd-nspawn@web-1.service/payload",
            "/machine.slice/systemd-nspawn@web-1.service",
        ],
    );
    all(
        Some(("web", Some("lxc"))),
        &["/lxc/web", "/lxc.payload.web", "/lxc.payload/web/init.scope"],
    );
    all(Some(("lxc-812-web", Some("lxc"))), &["/machine.slice/machine-lxc\\x2d812\\x2dweb.scope"]);
}

#[test]
fn the_innermost_counts() {
    all(
        Some(("ID", None)),
        // kind, and Docker in Docker.
        &["/docker/OUTER/kubelet/kubepods/besteffort/pod8c1f7a52-0b1e/ID"],
    );
    all(
        Some(("ID", Some("containerd"))),
        &[
            "/system.slice/docker-OUTER.scope/kubelet.slice/kubelet-kubepods.slice/cri-containerd-ID.scope",
        ],
    );
    all(
        Some(("ID", Some("docker"))),
        &["/docker/OUTER/docker/ID", "/lxc.payload.web/system.slice/docker-ID.scope"],
    );
    // Who looks after the inner one is in the outer one.
    all(Some(("OUTER", Some("docker"))), &["/docker/OUTER/machine.slice/libpod-conmon-ID.scope"]);
}

#[test]
fn the_host_is_no_container() {
    all(
        None,
        &[
            "",
            "/",
            "/init.scope",
            "/system.slice/docker.service",
            "/system.slice/containerd.service",
            "/user.slice/user-1000.slice/session-3.scope",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8c1f7a52_0b1e.slice",
            "/kubepods/burstable/pod8c1f7a52-0b1e-4d3a-9a53-5f6c1d0e9b11",
            "/docker",
            "/docker/buildx",
            // What looks after a container.
            "/machine.slice/libpod-conmon-ID.scope",
            "/system.slice/crio-conmon-ID.scope",
            "/machine.slice/machine-web.scope/supervisor",
            "/machine.slice/systemd-nspawn@web-1.service/supervisor",
            "/lxc.monitor.web",
            "/lxc",
            // A virtual machine.
            "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope",
            "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/vcpu0",
            // Not quite.
            "/docker/9f8e7d6c",
            "/docker/IDID",
            "/other/machine-web.scope",
            "/machine.slice/machine-web\\x2.scope",
            "docker",
        ],
    );
    let upper = format!("/docker/{}", ID.to_uppercase());
    assert_eq!(named(upper.as_bytes()), None);
    assert_eq!(named(b"/docker/\xff"), None);
}

proptest! {
    #[test]
    fn survives_any_bytes(bytes: Vec<u8>) {
        named(&bytes);
    }

    #[test]
    fn survives_what_looks_like_a_path(path in "(/(machine-|lxc|docker|\\\\x2|[a-z0-9.:-]){0,9})*") {
        named(path.as_bytes());
    }
}
