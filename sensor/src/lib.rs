//! The sensor: what every process of a host does, completely and cheaply, and every loss accounted
//! for. `worker` tells the story.

pub mod action;
pub mod books;
pub mod channel;
pub mod cli;
pub mod cn_proc;
pub mod config;
pub mod container;
pub mod control;
pub mod credit;
pub mod decode;
pub mod doctor;
pub mod enrich;
pub mod errno;
pub mod filter;
pub mod gap;
pub mod host;
pub mod kernel;
pub mod ledger;
pub mod log;
pub mod module;
pub mod observation;
pub mod outlet;
pub mod outlets;
pub mod output;
pub mod privileges;
pub mod procfs;
pub mod queue;
pub mod rate;
pub mod reconcile;
pub mod service;
pub mod signal;
pub mod sock_diag;
pub mod source;
pub mod telemetry;
pub mod uplink;
pub mod watch;
pub mod worker;

pub use wanglou_daemon::{clock, image, panics, spread};
