//! What tests and benchmarks of the control plane stand on: a real etcd, certificates, replicas as processes, and
//! thousands of hosts that behave or do not.
//!
//! ```text
//! bins, process, port   what all of these are made of: processes that end with whoever started them
//! etcd                  one member or three; killed, stopped, full
//! pki                   authorities, certificates, and keys that sign orders
//! replica               a fleet's folder, and the real control plane in it
//! scene                 both of these together; host, operator: one of each, that does what a test wants
//! sensor, cable         the real sensor, and a network that can be pulled out
//! raw                   somebody with a certificate who says what no sensor would
//! swarm                 hosts by the thousand, in processes of their own, that write down what was
//! teller                the telemetry stream of a host
//! truth                 whether what the control plane said of them was so
//! ```

pub mod bins;
pub mod cable;
pub mod etcd;
pub mod host;
pub mod operator;
pub mod pki;
pub mod port;
pub mod process;
pub mod raw;
pub mod replica;
pub mod scene;
pub mod sensor;
pub mod swarm;
pub mod teller;
pub mod truth;

pub use cable::Cable;
pub use etcd::Etcd;
pub use host::Host;
pub use pki::Pki;
pub use raw::Raw;
pub use replica::{Fleet, Replica};
pub use scene::Scene;
pub use swarm::Swarm;
