//! The operator's program against a scripted fleet: the real binary, real TLS, real terminals.

mod bench;
mod connecting;
mod events;
mod hosts;
mod orders;
mod others;
mod pki;
mod reconcile;
mod script;
