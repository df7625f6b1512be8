//! Clients that mean harm, at a real replica: whatever they do, a host beside them lives, hears a stop within a second or
//! so, and the replica neither swells nor keeps to itself what has happened.
//!
//! ```text
//! stage    a replica, a host and an operator that behave
//! before   anybody is known: TCP, TLS, HTTP/2        after   somebody has shown a certificate
//! ```

mod after;
mod before;
mod stage;
