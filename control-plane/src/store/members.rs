//! Members of etcd that are not in the settings: those that have come are asked too, and those that were removed are not
//! any more. What the settings name stays: it may be a name that leads to whoever is there.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::sleep;
use tonic::codegen::http::Uri;
use wanglou_api::dial::check_endpoint;

use super::{Store, StoreError, in_time};
use crate::log::ids;

/// From one look at who they are to the next, and after something has failed.
const EVERY: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(2);
/// Of them, so many at most: an etcd has seven.
const MOST: usize = 16;

/// Follows them for as long as it is polled.
pub(crate) async fn follow(store: Store) {
    let mut known = BTreeSet::new();
    loop {
        let pause = match look(&store, &mut known).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::debug!(%error, "etcd does not say who its members are");
                SOON
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            // They may be others now.
            () = store.failed.notified() => sleep(SOON).await,
        }
    }
}

async fn look(store: &Store, known: &mut BTreeSet<String>) -> Result<(), StoreError> {
    let urls = in_time(store.etcd.members()).await?;
    let usable = urls.iter().filter_map(|url| usable(url, &store.configured));
    let there: BTreeSet<_> = usable.take(MOST).collect();
    if there == *known {
        return Ok(());
    }
    for url in there.difference(known) {
        store.etcd.ask_too(url).await?;
    }
    for url in known.difference(&there) {
        store.etcd.ask_no_more(url).await?;
    }
    let members: Vec<_> = there.iter().map(String::as_str).collect();
    let members = members.join(", ");
    tracing::info!(
        id = ids::MEMBERS.code,
        members,
        "etcd has members that the settings do not name"
    );
    *known = there;
    Ok(())
}

/// Where a member says that clients reach it, if we can: as etcd is set up in the beginning, that is often `localhost`.
fn usable(url: &str, configured: &[String]) -> Option<String> {
    let of = Place::of(url)?;
    let configured: Vec<_> = configured.iter().filter_map(|it| Place::of(it)).collect();
    // Where there is one way with TLS there is no other without.
    let is_tls = configured.iter().any(|it| it.is_tls);
    let is_here = configured.iter().any(|it| it.is_loopback);
    let fits = of.is_tls == is_tls && (is_here || !of.is_loopback) && !configured.contains(&of);
    fits.then(|| of.url())
}

/// Where a URL leads to.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    is_tls: bool,
    is_loopback: bool,
    authority: String,
}

impl Place {
    /// `None` for what leads nowhere.
    fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let is_tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        // Without a port it would not be the one of etcd.
        authority.port()?;
        check_endpoint(authority.as_str()).ok()?;
        let host = authority.host().trim_matches(['[', ']']);
        let address = host.parse::<IpAddr>().ok();
        if address.is_some_and(|it| it.is_unspecified()) {
            return None;
        }
        let is_loopback = host == "localhost" || address.is_some_and(|it| it.is_loopback());
        Some(Self { is_tls, is_loopback, authority: authority.to_string() })
    }

    fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_asked_where_it_can_be_reached() {
        for (url, configured, is_usable) in [
            ("http://10.0.0.2:2379", "http://10.0.0.1:2379", true),
            ("https://etcd-2:2379", "https://etcd-1:2379", true),
            ("https://[2001:db8::2]:2379", "https://etcd-1:2379", true),
            ("http://127.0.0.1:2", "http://127.0.0.1:1", true),
            // It is asked already.
            ("http://10.0.0.1:2379", "http://10.0.0.1:2379", false),
            ("http://10.0.0.1:2379/", "http://10.0.0.1:2379", false),
            // TLS stays TLS, and nothing becomes it.
            ("http://10.0.0.2:2379", "https://10.0.0.1:2379", false),
            ("https://10.0.0.2:2379", "http://10.0.0.1:2379", false),
            // These are somebody else's, or nobody's.
            ("http://localhost:2379", "http://10.0.0.1:2379", false),
            ("http://127.0.0.1:2379", "http://10.0.0.1:2379", false),
            ("http://[::1]:2379", "http://10.0.0.1:2379", false),
            ("http://0.0.0.0:2379", "http://127.0.0.1:2379", false),
            ("http://etcd-2", "http://10.0.0.1:2379", false),
            ("http://somebody@etcd-2:2379", "http://10.0.0.1:2379", false),
            ("unix://etcd-2:2379", "http://10.0.0.1:2379", false),
            ("", "http://10.0.0.1:2379", false),
        ] {
            let found = usable(url, &[configured.to_owned()]).is_some();
            assert_eq!(found, is_usable, "{url} beside {configured}");
        }
    }
}
