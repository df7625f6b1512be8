//! One program a file.

mod cgroup;
pub mod connection;
mod credentials;
mod exec;
mod existing;
mod exit;
pub mod flow;
mod fork;
mod image;
mod length;
mod udp;
