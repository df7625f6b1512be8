//! What was compiled into a program: `CycloneDX` 1.5, from what cargo has resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Release;
use super::programs::Program;
use crate::shell;
use crate::workspace::Workspace;

/// JSON, the same for the same tree.
pub(super) fn of(workspace: &Workspace, program: &Program, release: &Release) -> Result<Vec<u8>> {
    let mut metadata = workspace.cargo();
    metadata.args(["metadata", "--format-version=1", "--locked", "--filter-platform"]);
    let metadata: Value = serde_json::from_str(&shell::read(metadata.arg(&release.triple))?)
        .context("cargo metadata did not answer in JSON")?;
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock"))?;
    let bill = bill(&metadata, &checksums(&lock), program)?;
    Ok(serde_json::to_vec_pretty(&bill)?)
}

fn bill(
    metadata: &Value,
    checksums: &BTreeMap<(String, String), String>,
    program: &Program,
) -> Result<Value> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    let by_id: BTreeMap<_, _> =
        packages.iter().filter_map(|it| Some((it["id"].as_str()?, it))).collect();
    let own = packages.iter().find(|it| it["name"] == program.package);
    let own = own.with_context(|| format!("there is no package {}", program.package))?;
    let below = below(metadata, own["id"].as_str().context("no id")?)?;
    let component = |id: &str, kind: &str| -> Option<Value> {
        let package = by_id.get(id)?;
        let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
        let mut component = json!({
            "type": kind,
            "bom-ref": reference(name, version),
            "name": name,
            "version": version,
            "purl": reference(name, version),
        });
        if let Some(license) = package["license"].as_str() {
            // Some still write them with a slash, which SPDX does not know.
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        if let Some(sum) = checksums.get(&(name.to_owned(), version.to_owned())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
        }
        Some(component)
    };
    let main = component(own["id"].as_str().unwrap_or_default(), "application");
    let parts = below.keys().filter(|id| own["id"] != ***id);
    let components: Vec<_> = parts.filter_map(|id| component(id, "library")).collect();
    let name = |id: &str| -> Option<String> {
        let package = by_id.get(id)?;
        Some(reference(package["name"].as_str()?, package["version"].as_str()?))
    };
    let dependencies: Vec<_> = below
        .iter()
        .map(|(id, on)| {
            let on: Vec<_> = on.iter().filter_map(|id| name(id)).collect();
            json!({ "ref": name(id), "dependsOn": on })
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": main },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// All that is linked into a package, and what each of that needs itself: nothing that only builds or tests it.
fn below<'a>(metadata: &'a Value, own: &'a str) -> Result<BTreeMap<&'a str, BTreeSet<&'a str>>> {
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo has resolved nothing")?;
    let needs = |node: &'a Value| -> BTreeSet<&'a str> {
        let deps = node["deps"].as_array().into_iter().flatten();
        let linked = deps.filter(|dep| {
            let mut kinds = dep["dep_kinds"].as_array().into_iter().flatten();
            kinds.any(|kind| kind["kind"].is_null())
        });
        linked.filter_map(|dep| dep["pkg"].as_str()).collect()
    };
    let all: BTreeMap<_, _> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, needs(node)))).collect();
    let (mut below, mut waiting) = (BTreeMap::new(), vec![own]);
    while let Some(id) = waiting.pop() {
        if !below.contains_key(id) {
            let on = all.get(id).cloned().unwrap_or_default();
            waiting.extend(on.iter().copied());
            below.insert(id, on);
        }
    }
    Ok(below)
}

/// Of each package that comes from a registry, as `Cargo.lock` has them.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let read = |package: &str| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(" = ").trim_matches('"').to_owned())
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    };
    packages.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::programs;
    use super::*;

    #[test]
    fn what_is_linked_is_listed_and_what_only_builds_or_tests_is_not() {
        let dep = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let package = |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
        let own = "wanglou-sensor";
        let metadata = json!({
            "packages": [package(own), package("a"), package("b"), package("cc"), package("proptest")],
            "resolve": { "nodes": [
                { "id": own, "deps": [dep("a", Value::Null), dep("cc", json!("build")), dep("proptest", json!("dev"))] },
                { "id": "a", "deps": [dep("b", Value::Null)] },
                { "id": "b", "deps": [] },
                { "id": "cc", "deps": [] },
                { "id": "proptest", "deps": [] },
            ] },
        });
        let lock = "[[package]]\nname = \"b\"\nversion = \"1.0.0\"\nchecksum = \"77\"\n";
        let program = &programs::chosen(Some(own)).expect("it is there")[0];
        let bill = bill(&metadata, &checksums(lock), program).expect("a list");
        assert_eq!(bill["metadata"]["component"]["name"], own);
        let names: Vec<_> =
            bill["components"].as_array().expect("a list").iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(bill["components"][1]["hashes"][0]["content"], "77");
        assert_eq!(bill["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bill["dependencies"][0]["ref"], "pkg:cargo/a@1.0.0");
        assert_eq!(bill["dependencies"][0]["dependsOn"][0], "pkg:cargo/b@1.0.0");
    }
}
