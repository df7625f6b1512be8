//! What went wrong, in one line: what failed, on what, what to do next.

use std::error::Error as _;

use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use wanglou_api::identity::Identity;

use crate::text::clean;
use crate::units;

/// The command line makes no sense.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A call that came to nothing.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// No replica was to be had: each with its reason.
    #[error("cannot {what}: {} (--endpoint names others)", reasons.join("; "))]
    Nobody {
        /// What was asked.
        what: &'static str,
        /// A replica and its reason each.
        reasons: Vec<String>,
    },
    /// One has answered, and says no.
    #[error("cannot {what} at {endpoint}: {reason}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Whom.
        endpoint: String,
        /// What it says, and what to do.
        reason: String,
        /// Of the protocol.
        code: Code,
    },
}

impl CallError {
    /// It may work later or elsewhere without anybody doing anything.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Nobody { .. })
    }

    /// Of the protocol, where a replica has answered.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Nobody { .. } => None,
            Self::Refused { code, .. } => Some(*code),
        }
    }
}

/// Whether another replica might say something else.
pub(crate) fn is_of_this_replica(status: &Status) -> bool {
    let of_connection = status.source().is_some();
    of_connection
        || matches!(
            status.code(),
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
        )
}

/// What a status says, with what to do about it.
pub(crate) fn explain(status: &Status, asker: &Identity) -> String {
    let details = status.get_error_details();
    let mut said = match innermost(status) {
        Some(cause) => cause,
        None if status.message().is_empty() => status.code().description().to_owned(),
        None => status.message().to_owned(),
    };
    let mut add = |subject: &str, description: &str| {
        // Some say it in both places.
        if !said.contains(description) {
            said.push_str(&format!("; {subject}: {description}"));
        }
    };
    for it in details.bad_request().map(|it| &it.field_violations[..]).unwrap_or_default() {
        add(&it.field, &it.description);
    }
    for it in details.precondition_failure().map(|it| &it.violations[..]).unwrap_or_default() {
        add(&it.subject, &it.description);
    }
    let who = format!("{} {} of {}", asker.role.name(), asker.id, asker.fleet);
    let wait = details.retry_info().and_then(|it| it.retry_delay);
    let next = match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => {
            Some(format!("asked as {who}; another certificate may (--certificate)"))
        }
        _ if let Some(wait) = wait => Some(format!("try again in {}", units::span(wait))),
        Code::ResourceExhausted => Some("try again later".to_owned()),
        Code::Unimplemented => Some("the replica is older than this program".to_owned()),
        Code::Aborted => Some("it has changed meanwhile: look and try again".to_owned()),
        Code::Internal | Code::DataLoss | Code::Unknown if status.source().is_none() => {
            Some("its log tells more".to_owned())
        }
        _ => None,
    };
    let help = details.help().and_then(|help| help.links.first());
    let help = help.map(|link| format!("{} {}", link.description, link.url));
    let parts = [Some(said), next, help];
    one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// Of a connection that broke: what is at the bottom of it.
fn innermost(status: &Status) -> Option<String> {
    let mut cause = status.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(format!("the connection broke: {cause}"))
}

/// Text of others as part of a line.
pub(crate) fn one_line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    fn asker() -> Identity {
        "spiffe://blue/operator/ann".parse().expect("an identity")
    }

    #[test]
    fn a_refusal_says_what_to_do_next() {
        let denied = Status::permission_denied("a start is for admins");
        assert_eq!(
            explain(&denied, &asker()),
            "a start is for admins; asked as operator ann of blue; another certificate may (--certificate)"
        );
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(75)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "too many calls", details);
        assert_eq!(explain(&busy, &asker()), "too many calls; try again in 1m15s");
        let details = ErrorDetails::with_bad_request_violation("reason", "at most 1,024 bytes");
        let bad = Status::with_error_details(Code::InvalidArgument, "it is wrong", details);
        assert_eq!(explain(&bad, &asker()), "it is wrong; reason: at most 1,024 bytes");
        assert_eq!(explain(&Status::not_found(""), &asker()), Code::NotFound.description());
    }

    #[test]
    fn what_a_replica_says_stays_on_its_line_and_steers_nothing() {
        let evil = Status::invalid_argument("a\nb\x1b[2J");
        assert_eq!(explain(&evil, &asker()), "a b\\u{1b}[2J");
    }

    #[test]
    fn what_is_of_one_replica_is_asked_of_the_next() {
        assert!(is_of_this_replica(&Status::unavailable("draining")));
        assert!(is_of_this_replica(&Status::resource_exhausted("")));
        assert!(!is_of_this_replica(&Status::not_found("")));
        assert!(!is_of_this_replica(&Status::permission_denied("")));
    }
}
