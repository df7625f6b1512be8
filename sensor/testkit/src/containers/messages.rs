//! Messages of the Container Runtime Interface v1 that a kubelet sends, as far as tests do: names and numbers are those of
//! `cri-api/pkg/apis/runtime/v1/api.proto`, which says what each is.
#![allow(missing_docs, reason = "they are the interface's own")]

use std::collections::BTreeMap;

use prost::Message;

/// `NamespaceMode`.
pub(super) const POD: i32 = 0;
pub(super) const NODE: i32 = 2;

macro_rules! messages {
    ($($name:ident { $($(#[$field:meta])* $key:ident: $type:ty,)* })*) => {$(
        #[derive(Clone, PartialEq, Message)]
        pub struct $name {
            $($(#[$field])* pub $key: $type,)*
        }
    )*};
}

messages! {
    Nothing {}
    ById {
        #[prost(string, tag = "1")]
        id: String,
    }
    PodToRun {
        #[prost(message, optional, tag = "1")]
        config: Option<PodConfig>,
    }
    PodMade {
        #[prost(string, tag = "1")]
        pod_sandbox_id: String,
    }
    PodConfig {
        #[prost(message, optional, tag = "1")]
        metadata: Option<PodMetadata>,
        #[prost(string, tag = "3")]
        log_directory: String,
        #[prost(btree_map = "string, string", tag = "6")]
        labels: BTreeMap<String, String>,
        #[prost(message, optional, tag = "8")]
        linux: Option<LinuxPod>,
    }
    PodMetadata {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        uid: String,
        #[prost(string, tag = "3")]
        namespace: String,
    }
    LinuxPod {
        #[prost(string, tag = "1")]
        cgroup_parent: String,
        #[prost(message, optional, tag = "2")]
        security_context: Option<PodSecurity>,
    }
    PodSecurity {
        #[prost(message, optional, tag = "1")]
        namespace_options: Option<NamespaceOption>,
    }
    NamespaceOption {
        #[prost(int32, tag = "1")]
        network: i32,
        #[prost(int32, tag = "2")]
        pid: i32,
    }
    ContainerToMake {
        #[prost(string, tag = "1")]
        pod_sandbox_id: String,
        #[prost(message, optional, tag = "2")]
        config: Option<ContainerConfig>,
        #[prost(message, optional, tag = "3")]
        sandbox_config: Option<PodConfig>,
    }
    ContainerMade {
        #[prost(string, tag = "1")]
        container_id: String,
    }
    ContainerToStop {
        #[prost(string, tag = "1")]
        container_id: String,
        #[prost(int64, tag = "2")]
        timeout: i64,
    }
    ContainerTold {
        #[prost(message, optional, tag = "1")]
        status: Option<ContainerStatus>,
    }
    ContainerStatus {
        #[prost(int32, tag = "3")]
        state: i32,
        #[prost(int32, tag = "7")]
        exit_code: i32,
    }
    ContainerConfig {
        #[prost(message, optional, tag = "1")]
        metadata: Option<ContainerMetadata>,
        #[prost(message, optional, tag = "2")]
        image: Option<ImageSpec>,
        #[prost(string, repeated, tag = "3")]
        command: Vec<String>,
        #[prost(string, repeated, tag = "4")]
        args: Vec<String>,
        #[prost(message, repeated, tag = "7")]
        mounts: Vec<Mount>,
        #[prost(string, tag = "11")]
        log_path: String,
        #[prost(message, optional, tag = "15")]
        linux: Option<LinuxContainer>,
    }
    ContainerMetadata {
        #[prost(string, tag = "1")]
        name: String,
    }
    ImageSpec {
        #[prost(string, tag = "1")]
        image: String,
    }
    Mount {
        #[prost(string, tag = "1")]
        container_path: String,
        #[prost(string, tag = "2")]
        host_path: String,
        #[prost(bool, tag = "3")]
        readonly: bool,
        #[prost(int32, tag = "5")]
        propagation: i32,
    }
    LinuxContainer {
        #[prost(message, optional, tag = "1")]
        resources: Option<Resources>,
        #[prost(message, optional, tag = "2")]
        security_context: Option<ContainerSecurity>,
    }
    Resources {
        #[prost(int64, tag = "3")]
        cpu_shares: i64,
        #[prost(int64, tag = "4")]
        memory_limit_in_bytes: i64,
    }
    ContainerSecurity {
        #[prost(message, optional, tag = "1")]
        capabilities: Option<Capability>,
        #[prost(bool, tag = "2")]
        privileged: bool,
        #[prost(message, optional, tag = "3")]
        namespace_options: Option<NamespaceOption>,
        #[prost(message, optional, tag = "5")]
        run_as_user: Option<i64>,
        #[prost(bool, tag = "7")]
        readonly_rootfs: bool,
        #[prost(bool, tag = "11")]
        no_new_privs: bool,
        #[prost(message, optional, tag = "12")]
        run_as_group: Option<i64>,
        #[prost(string, repeated, tag = "13")]
        masked_paths: Vec<String>,
        #[prost(string, repeated, tag = "14")]
        readonly_paths: Vec<String>,
        #[prost(message, optional, tag = "15")]
        seccomp: Option<SecurityProfile>,
        #[prost(message, optional, tag = "16")]
        apparmor: Option<SecurityProfile>,
    }
    Capability {
        #[prost(string, repeated, tag = "1")]
        add_capabilities: Vec<String>,
        #[prost(string, repeated, tag = "2")]
        drop_capabilities: Vec<String>,
    }
    SecurityProfile {
        #[prost(int32, tag = "1")]
        profile_type: i32,
    }
}
