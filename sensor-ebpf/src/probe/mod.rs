//! One program a file.

pub mod connection;
mod credentials;
mod exec;
mod existing;
mod exit;
mod fork;
mod image;
