//! `label`: what an operator says of a host.

use anyhow::Result;
use prost_types::FieldMask;
use tonic::Code;
use wanglou_api::fleet::v1::{Host, UpdateHostRequest};

use crate::cli::Output;
use crate::connection::Fleet;
use crate::failure::Usage;
use crate::terminal::say;
use crate::text::clean;
use crate::{Done, host, hosts, json, request_id, selection};

/// How often somebody else may have been faster.
const ATTEMPTS: usize = 3;

/// Sets labels and takes them away, and leaves all others as they are.
pub(crate) async fn run(
    fleet: &mut Fleet,
    id: &str,
    changes: &[String],
    output: Output,
) -> Result<Done> {
    let changes = changes.iter().map(|text| change(text)).collect::<Result<Vec<_>, _>>()?;
    let paths: Vec<_> = changes.iter().map(|(name, _)| format!("labels.{name}")).collect();
    let mut attempt = 0;
    let host = loop {
        attempt += 1;
        let known = host::read(fleet, id).await?;
        let mut wanted = Host { name: known.name, etag: known.etag, ..Host::default() };
        for (name, value) in &changes {
            if let Some(value) = value {
                wanted.labels.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        let request = UpdateHostRequest {
            host: Some(wanted),
            update_mask: Some(FieldMask { paths: paths.clone() }),
            request_id: request_id()?,
        };
        let what = "label the host";
        match fleet.call(what, async |mut it| it.update_host(request.clone()).await).await {
            // Somebody has changed it since it was read.
            Err(error) if error.code() == Some(Code::Aborted) && attempt < ATTEMPTS => {}
            other => break other?,
        }
    };
    match output {
        Output::Json => say(&json::line(&json::Host::from(&host))?)?,
        Output::Table => {
            let labels = hosts::labels(&host);
            let labels = if labels.is_empty() { "no labels" } else { &labels };
            say(&clean(&format!("{}: {labels}", hosts::id(&host.name))))?;
        }
    }
    Ok(Done::Well)
}

/// `NAME=VALUE` or `NAME-`.
fn change(text: &str) -> Result<(&str, Option<&str>), Usage> {
    if !text.contains('=')
        && let Some(name) = text.strip_suffix('-').filter(|name| !name.is_empty())
    {
        return Ok((name, None));
    }
    let (name, value) =
        selection::label(text).map_err(|error| Usage(format!("{error} or NAME-")))?;
    Ok((name, Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_set_or_taken_away() {
        assert_eq!(change("group=web"), Ok(("group", Some("web"))));
        assert_eq!(change("group=web-"), Ok(("group", Some("web-"))));
        assert_eq!(change("product_line-"), Ok(("product_line", None)));
        for text in ["group", "-", "=a", "group=", ""] {
            assert!(change(text).is_err(), "{text}");
        }
    }
}
