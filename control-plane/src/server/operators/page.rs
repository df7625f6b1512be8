//! Pages (AIP-158): how large one is, and where the next begins.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::bad;

/// Of a list, most and unless another number is asked for.
const MOST: usize = 1_000;
const USUAL: usize = 100;

/// How many.
pub(super) fn size(asked: i32) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(USUAL),
        Ok(size) => Ok(size.min(MOST)),
        Err(_) => Err(bad("page_size", "it is negative")),
    }
}

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// Behind this one.
    pub(super) after: String,
    /// With this value of what the list is ordered by.
    pub(super) value: u64,
    /// Of all pages.
    pub(super) total: i32,
    /// Of everything else that was asked for.
    question: u64,
}

impl Token {
    /// Of the answer before; `None` on the first page.
    pub(super) fn read(token: &str, question: u64) -> Result<Option<Self>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let parsed: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let parsed = parsed.ok_or_else(|| bad("page_token", "it is none that was given here"))?;
        if parsed.question == question {
            Ok(Some(parsed))
        } else {
            Err(bad("page_token", "it belongs to another question: begin without one"))
        }
    }

    pub(super) fn write(after: String, value: u64, total: i32, question: u64) -> String {
        let token = Self { after, value, total, question };
        serde_json::to_vec(&token).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).unwrap_or_default()
    }
}

/// What a question is known by.
pub(super) fn question(of: &impl std::fmt::Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{of:?}").hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_question() {
        let token = Token::write("web".to_owned(), 3, 10, question(&"cpu"));
        let read =
            Token::read(&token, question(&"cpu")).expect("it is ours").expect("not the first");
        assert_eq!((read.after.as_str(), read.value, read.total), ("web", 3, 10));
        assert!(Token::read(&token, question(&"memory")).is_err());
        assert!(Token::read("nonsense", 0).is_err());
        assert_eq!(Token::read("", 0).expect("the first"), None);
    }
}
