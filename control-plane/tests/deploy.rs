//! What is in `docs/deploy` is right for what the programs do: they take the settings, they have the metrics that rules and
//! dashboards ask for, and alerts are numbered, tested and told of as everything else. That Kubernetes and Prometheus can read
//! these files is for `cargo xtask test`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use wanglou_fleet_testkit::port::Port;
use wanglou_fleet_testkit::replica::http;
use wanglou_fleet_testkit::{Scene, bins, sensor};

/// What Prometheus and its scrape configuration add to what a program says.
const OF_TARGETS: [&str; 9] = [
    "job",
    "instance",
    "host",
    "replica",
    "member",
    "datacentre",
    "environment",
    "project",
    "product_line",
];
/// For a sensor to begin, and to tell a replica of something.
const SOON: Duration = Duration::from_secs(60);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// All files of a folder, one after the other.
fn texts(name: &str) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in folder(name).read_dir().with_context(|| format!("no {name}"))? {
        texts.push(fs::read_to_string(entry?.path())?);
    }
    Ok(texts)
}

#[test]
fn the_programs_take_their_settings() -> Result<()> {
    let kubernetes = folder("deploy/kubernetes");
    let replica = kubernetes.join("control-plane");
    let mut show = Command::new(bins::control_plane()?);
    show.args(["config", "show", "--config"]).arg(replica.join("control-plane.toml"));
    show.envs(environment(&fs::read_to_string(replica.join("statefulset.yaml"))?));
    let shown = said(&mut show)?;
    for setting in [
        "control.certificate = \"/pki/replica/NAME.pem\"",
        "control.addresses = [\"NAME.wanglou-replica.wanglou.svc.cluster.local:7443\"]",
        "telemetry.listen = \"0.0.0.0:9630\"",
    ] {
        ensure!(shown.contains(setting), "no {setting}: {shown}");
    }
    let mut show = Command::new(bins::control_plane()?);
    show.args(["config", "show", "--config"]).arg(folder("deploy/systemd/control-plane.toml"));
    let shown = said(&mut show)?;
    let state = "replica.state_directory = \"/var/lib/wanglou-control-plane\"";
    ensure!(shown.contains(state), "not as the unit has it: {shown}");
    let Ok(sensor) = bins::sensor() else {
        eprintln!("skipped: WANGLOU_SENSOR is not set, and its settings are to be read");
        return Ok(());
    };
    let mut show = Command::new(&sensor);
    show.args(["config", "show", "--config"]).arg(kubernetes.join("sensor/sensor.toml"));
    let shown = said(&mut show)?;
    ensure!(shown.contains("telemetry.listen = \"127.0.0.1:9630\""), "{shown}");
    let overlay = kubernetes.join("scrape-by-address/daemonset.yaml");
    let shown = said(show.envs(environment(&fs::read_to_string(overlay)?)))?;
    ensure!(shown.contains("telemetry.listen = \"192.0.2.1:9630\""), "{shown}");
    Ok(())
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_of_replicas() -> Result<()> {
    const NAME: &str = "wanglou-control-plane";
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze");
        return Ok(());
    }
    let unit = fs::read_to_string(folder(&format!("deploy/systemd/{NAME}.service")))?;
    // It looks for the program where the unit says.
    let program = bins::control_plane()?.display().to_string();
    let scratch = tempfile::tempdir()?;
    let copy = scratch.path().join(format!("{NAME}.service"));
    fs::write(&copy, unit.replace(&format!("/usr/bin/{NAME}"), &program))?;
    let output = Command::new("systemd-analyze").arg("verify").arg(&copy).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(!told.contains(NAME), "it says: {told}");
    Ok(())
}

/// The variables of a manifest, as a pod would have them.
fn environment(manifest: &str) -> Vec<(String, String)> {
    let lines: Vec<_> = manifest.lines().map(str::trim).collect();
    let variable = |pair: &[&str]| {
        let name = pair[0].strip_prefix("- name: ").filter(|it| it.starts_with("WANGLOU_"))?;
        let value = pair[1].strip_prefix("value: ")?.trim_matches('"');
        let value = value.replace("$(POD_NAME)", "NAME").replace("$(HOST_IP)", "192.0.2.1");
        Some((name.to_owned(), value))
    };
    lines.windows(2).filter_map(variable).collect()
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Without the columns in which it is set.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(String::from_utf8(output.stdout)?.lines().map(words).collect::<Vec<_>>().join("\n"))
}

/// An alert as it stands in a file of rules.
#[derive(Debug, Default)]
struct Alert {
    name: String,
    id: String,
    level: String,
}

fn alerts() -> Result<Vec<Alert>> {
    let mut alerts = Vec::new();
    for text in texts("deploy/monitoring/rules")? {
        for part in text.split("- alert: ").skip(1) {
            let after = |word: &str| {
                let rest = part.split_once(word).map_or("", |(_, rest)| rest);
                rest.split([',', '}', '\n']).next().unwrap_or_default().to_owned()
            };
            let name = part.lines().next().unwrap_or_default().to_owned();
            alerts.push(Alert { name, id: after("{id: "), level: after("level: ") });
        }
    }
    ensure!(!alerts.is_empty(), "there are no rules");
    Ok(alerts)
}

#[test]
fn every_alert_has_an_id_a_test_and_a_line_for_who_is_called() -> Result<()> {
    let tests = texts("deploy/monitoring/tests")?.concat();
    let page = fs::read_to_string(folder("deploy/monitoring/README.md"))?;
    let messages = fs::read_to_string(folder("operations.md"))?
        + &fs::read_to_string(folder("control-plane.md"))?;
    let mut ids = BTreeSet::new();
    for Alert { name, id, level } in alerts()? {
        ensure!(tests.contains(&format!("\"{name}\"")), "{name} is not tested");
        let row = format!("| `{id}` | {level} | `{name}` |");
        ensure!(page.contains(&row), "the page of monitoring has no {row}");
        // Of what a program has a message for, it has the id and the level.
        let is_message = messages.contains(&format!("| `{id}` | {level} |"));
        ensure!(is_message || id.starts_with("WL7"), "{name}: nothing has the id {id} and {level}");
        ensure!(ids.insert(id), "{name} has the id of another one");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboards_ask_for_what_there_is() -> Result<()> {
    if bins::sensor().is_err() {
        eprintln!("skipped: WANGLOU_SENSOR is not set, and its metrics are to be compared");
        return Ok(());
    }
    let asked = expressions()?;
    let recorded = recorded()?;
    let scene = Scene::three().await?;
    let replica = scene.replica("one", &[]).await?;
    let port = Port::free()?;
    let listen = format!("telemetry.listen={}", port.address());
    // So that something is lost, and there are numbers of that too.
    let settings =
        [listen.as_str(), "output.stdout.enabled=false", "output.uplink.events_per_second=1"];
    let _sensor = sensor::start_here(&scene.fleet, &replica.address(), &settings)?;
    let etcd: SocketAddr = scene.etcd.endpoints()[0].trim_start_matches("http://").parse()?;
    let started = Instant::now();
    loop {
        for _ in 0..20 {
            Command::new("true").status()?;
        }
        let mut told = Told::default();
        for answer in [
            replica.get("/metrics").await,
            http::get(port.address(), "/metrics").await,
            http::get(etcd, "/metrics").await,
        ] {
            // A sensor that does not listen yet has no metrics.
            answer.iter().for_each(|(_, text)| told.read(text));
        }
        // Prometheus' own.
        told.read("up 1");
        let missing: BTreeSet<_> = asked
            .iter()
            .flat_map(|expression| Question::all(expression))
            .filter(|it| !recorded.contains(&it.metric))
            .filter_map(|it| told.lacks(&it))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        ensure!(started.elapsed() < SOON, "nobody has: {missing:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Every expression of rules and dashboards.
fn expressions() -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in texts("deploy/monitoring/rules")? {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(mut expression) = line.trim().strip_prefix("expr: ").map(str::to_owned) else {
                continue;
            };
            if expression == ">-" {
                let indent = |line: &str| line.len() - line.trim_start().len();
                expression.clear();
                while let Some(more) = lines.next_if(|more| indent(more) > indent(line)) {
                    expression += more;
                }
            }
            all.push(expression);
        }
    }
    for text in texts("deploy/monitoring/dashboards")? {
        let dashboard: Value = serde_json::from_str(&text)?;
        for panel in dashboard["panels"].as_array().context("no panels")? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                all.push(target["expr"].as_str().context("no expression")?.to_owned());
            }
        }
        for variable in dashboard["templating"]["list"].as_array().context("no variables")? {
            let query = variable["definition"].as_str().unwrap_or_default();
            all.extend(
                query
                    .strip_prefix("label_values(")
                    .and_then(|it| it.rsplit_once(','))
                    .map(|(metric, _)| metric.to_owned()),
            );
        }
    }
    Ok(all)
}

/// What rules give a name to.
fn recorded() -> Result<BTreeSet<String>> {
    let texts = texts("deploy/monitoring/rules")?;
    let lines = texts.iter().flat_map(|text| text.lines());
    Ok(lines.filter_map(|it| it.trim().strip_prefix("- record: ")).map(str::to_owned).collect())
}

/// A metric that an expression wants, with the labels that it has to have.
#[derive(Debug)]
struct Question {
    metric: String,
    labels: Vec<(String, String)>,
}

impl Question {
    fn all(expression: &str) -> Vec<Self> {
        let mut questions: Vec<Self> = Vec::new();
        let mut rest = expression;
        let mut is_list = false;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
            let length = match first {
                '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
                // Behind a metric, what it has to have.
                '{' => {
                    let end = rest.find('}').unwrap_or(rest.len() - 1);
                    if let Some(question) = questions.last_mut() {
                        question.labels = matchers(&rest[1..end]);
                    }
                    end + 1
                }
                '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
                '(' if is_list => rest.find(')').map_or(rest.len(), |end| end + 1),
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let (word, after) = rest.split_at(length);
            let is_name = is_word(first) && !first.is_ascii_digit();
            if is_name {
                is_list = ["by", "without", "on", "ignoring"].contains(&word);
                let is_other =
                    ["and", "or", "unless", "bool", "offset", "on", "by"].contains(&word);
                if !is_other && !after.trim_start().starts_with('(') && !is_aggregate(after) {
                    questions.push(Self { metric: word.to_owned(), labels: Vec::new() });
                }
            } else if !first.is_whitespace() {
                is_list = false;
            }
            rest = after;
        }
        questions
    }
}

/// `sum by (…)`: a word before `by` is no metric.
fn is_aggregate(after: &str) -> bool {
    after.trim_start().starts_with("by (")
}

/// `a="b", c=~"d|e"` as pairs; what is matched by an expression counts as a label without a value.
fn matchers(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('"') {
        let Some((value, more)) = after.split_once('"') else { break };
        let name = name.trim_start_matches([',', ' ']);
        let is_equal = !name.ends_with("!=") && !value.contains('$');
        match name.strip_suffix('=').filter(|_| is_equal) {
            Some(name) => pairs.push((name.to_owned(), value.to_owned())),
            None => {
                let name = name.trim_end_matches(['=', '~', '!']);
                pairs.push((name.to_owned(), String::new()));
            }
        }
        rest = more;
    }
    pairs
}

/// Metrics that programs have, with the values that each label has been seen with.
#[derive(Debug, Default)]
struct Told(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Told {
    fn read(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let end = line.find(['{', ' ']).unwrap_or(line.len());
            let labels = self.0.entry(line[..end].to_owned()).or_default();
            let matchers = line[end..].strip_prefix('{').and_then(|it| it.split_once('}'));
            for (label, value) in matchers.map(|(it, _)| self::matchers(it)).into_iter().flatten() {
                labels.entry(label).or_default().insert(value);
            }
        }
    }

    /// What of a question has no answer.
    fn lacks(&self, question: &Question) -> Option<String> {
        let metric = &question.metric;
        let Some(labels) = self.0.get(metric) else { return Some(metric.clone()) };
        // Of states that no host is in there is none to be seen.
        let is_open = |label: &str| metric == "wanglou_control_plane_hosts" && label == "state";
        question.labels.iter().find_map(|(label, value)| {
            if OF_TARGETS.contains(&label.as_str()) {
                return None;
            }
            let Some(values) = labels.get(label) else {
                return Some(format!("{metric}{{{label}}}"));
            };
            let is_there = value.is_empty() || values.contains(value) || is_open(label);
            (!is_there).then(|| format!("{metric}{{{label}=\"{value}\"}}"))
        })
    }
}

#[test]
fn an_expression_is_taken_apart() {
    let questions = |expression| {
        let all = Question::all(expression);
        all.into_iter().map(|it| (it.metric, it.labels.len())).collect::<Vec<_>>()
    };
    let expected = |names: &[(&str, usize)]| {
        names.iter().map(|(name, labels)| ((*name).to_owned(), *labels)).collect::<Vec<_>>()
    };
    assert_eq!(
        questions(
            r#"sum by (a, b) (rate(x_total{c="d", e=~"f|g"}[5m])) / on (a) y:z > bool 0.5e3"#
        ),
        expected(&[("x_total", 2), ("y:z", 0)])
    );
    assert_eq!(
        questions(
            "absent(up{job=\"etcd\"}) or avg_over_time(max(n)[1h:1m]) offset 1d and vector(0)"
        ),
        expected(&[("up", 1), ("n", 0)])
    );
}
