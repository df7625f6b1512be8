//! One program a file.

mod credentials;
mod exec;
mod existing;
mod exit;
mod fork;
mod image;
