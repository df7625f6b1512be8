//! Who asks, and whether they may.

use tonic::{Request, Status};
use wanglou_api::identity::Role;

use super::connection::Peer;

/// Who has sent a request, if it is one of this role.
pub(super) fn caller<T>(request: &Request<T>, role: Role) -> Result<Peer, Status> {
    let peer = request.extensions().get::<Peer>().cloned();
    let peer = peer.ok_or_else(|| Status::unauthenticated("there is no certificate"))?;
    if peer.identity.role == role {
        Ok(peer)
    } else {
        let (who, needed) = (&peer.identity, role.name());
        Err(Status::permission_denied(format!("{who} may not do this: it is for {needed}s")))
    }
}
