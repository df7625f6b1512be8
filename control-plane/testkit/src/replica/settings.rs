//! Settings by their dotted paths.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// What goes into a file of settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(BTreeMap<String, Value>);

impl Settings {
    /// Sets one: text, a number, a boolean, or an array of these.
    pub fn set(&mut self, path: &str, value: Value) -> &mut Self {
        self.0.insert(path.to_owned(), value);
        self
    }

    /// Leaves one at its default.
    pub fn unset(&mut self, path: &str) -> &mut Self {
        self.0.remove(path);
        self
    }

    /// As TOML, where a dotted path is a key and all that JSON can say of these kinds means the same.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (path, value) in &self.0 {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{path} = {value}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_toml() {
        let mut settings = Settings::default();
        settings
            .set("fleet.hosts_per_lease", json!(500))
            .set("etcd.endpoints", json!(["http://127.0.0.1:1", "a \"quoted\" one\n"]))
            .set("control.key", json!("/tmp/a"))
            .set("control.listen", json!("unwanted"))
            .unset("control.listen");
        let table: toml::Table = settings.to_toml().parse().expect("TOML");
        assert_eq!(table["fleet"]["hosts_per_lease"].as_integer(), Some(500));
        assert_eq!(table["etcd"]["endpoints"][1].as_str(), Some("a \"quoted\" one\n"));
        assert!(table["control"].get("listen").is_none());
    }
}
