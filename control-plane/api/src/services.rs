//! Messages and services, by package.

// What events are made of, as others of these name it.
use crate::event;

/// All proto files of the services, serialized (`google.protobuf.FileDescriptorSet`), for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/services.bin");

macro_rules! package {
    ($(#[$about:meta])* $name:ident, $file:literal) => {
        $(#[$about])*
        pub mod $name {
            #[allow(missing_docs, unused_qualifications, clippy::all, clippy::restriction, clippy::pedantic, reason = "made by tonic, and not all of it is in every package")]
            pub mod v1 {
                include!(concat!("generated/", $file));
            }
        }
    };
}

package! {
    /// Operators and the fleet.
    fleet, "wanglou.fleet.v1.rs"
}
package! {
    /// Orders that are signed.
    order, "wanglou.order.v1.rs"
}
package! {
    /// Replicas among themselves.
    peer, "wanglou.peer.v1.rs"
}
package! {
    /// Sensors and replicas.
    sensor, "wanglou.sensor.v1.rs"
}
