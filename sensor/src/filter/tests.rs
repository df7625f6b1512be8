use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::tables::executable_key;
use super::*;

/// What the probes do with the tables (`sensor-ebpf/src/filter.rs`).
fn looks_up(tables: &Tables, subject: &Subject<'_>) -> bool {
    let rules = tables.rules;
    let address = match subject.address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let longest = |trie: &Trie, bytes: &[u8]| {
        let bit = |bytes: &[u8], n: u32| bytes[(n / 8) as usize] >> (7 - n % 8) & 1;
        let fits = |(key, len): &&(Vec<u8>, u32)| {
            *len as usize <= bytes.len() * 8 && (0..*len).all(|n| bit(key, n) == bit(bytes, n))
        };
        trie.keys().filter(fits).max_by_key(|(_, len)| *len).map(|key| trie[key])
    };
    let nobody = Process::default();
    let owner = subject.owner.unwrap_or(&nobody);
    let direction = match subject.direction {
        Direction::Egress => rules.egress,
        Direction::Ingress => rules.ingress,
        Direction::Listen => rules.listen,
    };
    let user = owner.user.and_then(|user| tables.users.get(&user).copied());
    let path = owner.cgroup.as_deref().map(|path| str::from_utf8(path).expect("text"));
    let above = |path: &str| {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.filter_map(|end| tables.cgroups.get(&path[..end])).fold(0, |all, one| all | one)
    };
    let executable = owner.executable.as_deref().map(|path| str::from_utf8(path).expect("text"));
    let executable =
        executable.and_then(|path| longest(&tables.executables, &executable_key(path)));
    let hold = direction
        & longest(&tables.addresses, &address.octets()).unwrap_or(rules.any_address)
        & tables.ports.get(usize::from(subject.port)).copied().unwrap_or(rules.any_port)
        & user.unwrap_or(rules.any_user)
        & (rules.any_cgroup | path.map_or(0, above))
        & executable.unwrap_or(rules.any_executable);
    hold & hold.wrapping_neg() & rules.drop != 0
}

fn condition() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "direction=egress",
        "direction=ingress,listen",
        "address=10.0.0.0/8",
        "address=10.1.0.0/16,2001:db8::/33",
        "address=10.1.2.3",
        "address=2001:db8::/32",
        "port=80",
        "port=79-81,443",
        "uid=0",
        "uid=0,33",
        "cgroup=/a",
        "cgroup=/a/b,/c",
        "executable=/usr/bin/curl",
        "executable=curl",
        "executable=bin/curl,/usr/sbin/nginx",
    ])
}

prop_compose! {
    fn rule()(drops in any::<bool>(), conditions in prop::collection::vec(condition(), 0..4))
        -> Rule
    {
        let verdict = if drops { "drop" } else { "keep" };
        format!("{verdict} {}", conditions.join(" ")).parse().expect("a rule")
    }
}

prop_compose! {
    fn process()(
        user in prop::option::of(prop::sample::select(vec![0, 33, 1000])),
        cgroup in prop::option::of(prop::sample::select(vec!["/", "/a", "/a/b/d", "/ab", "/c"])),
        executable in prop::option::of(prop::sample::select(vec![
            "/usr/bin/curl", "/opt/usr/bin/curl", "/curl", "/usr/sbin/nginx", "/bin/xcurl",
        ])),
    ) -> Process {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Process { user, cgroup: bytes(cgroup), executable: bytes(executable) }
    }
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = |address: [u8; 4]| IpAddr::V4(Ipv4Addr::from(address));
    let v6 = |text: &str| IpAddr::V6(text.parse::<Ipv6Addr>().expect("an address"));
    prop::sample::select(vec![
        v4([10, 1, 2, 3]),
        v4([10, 1, 9, 9]),
        v4([10, 200, 0, 1]),
        v4([192, 0, 2, 1]),
        v6("2001:db8::1"),
        v6("2001:db8:8000::1"),
        v6("::ffff:10.1.2.3"),
        v6("::a01:203"),
    ])
}

proptest! {
    #[test]
    fn the_tables_say_what_the_rules_say(
        rules in prop::collection::vec(rule(), 0..8),
        direction in prop::sample::select(vec![
            Direction::Egress, Direction::Ingress, Direction::Listen,
        ]),
        address in address(),
        port in prop::sample::select(vec![0_u16, 79, 80, 82, 443, 65535]),
        owner in prop::option::of(process()),
    ) {
        let filter = Filter::new(rules).expect("few rules");
        let subject = Subject { direction, address, port, owner: owner.as_ref() };
        prop_assert_eq!(looks_up(&Tables::of(&filter), &subject), filter.drops(&subject));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}|(keep|drop) [a-z]{1,10}=[0-9a-z:/.,-]{0,40}") {
        let _ = text.parse::<Rule>();
    }
}

#[test]
fn the_first_rule_that_holds_decides() {
    let rules = ["keep port=443 address=10.0.0.0/8", "drop direction=egress"];
    let rules = rules.map(|text| text.parse().expect("a rule")).to_vec();
    let filter = Filter::new(rules).expect("two");
    let drops = |address: &str, port, direction| {
        let address = address.parse().expect("an address");
        filter.drops(&Subject { direction, address, port, owner: None })
    };
    assert!(!drops("10.9.9.9", 443, Direction::Egress));
    assert!(drops("10.9.9.9", 444, Direction::Egress));
    assert!(drops("11.9.9.9", 443, Direction::Egress));
    assert!(!drops("11.9.9.9", 443, Direction::Ingress));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |text: &str| text.parse::<Rule>().expect_err("no rule").to_string();
    for (text, names) in [
        ("", "begins with `keep` or `drop`"),
        ("deny port=1", "`deny`"),
        ("drop port", "`port` is no condition"),
        ("drop prot=80", "`prot=80` is no condition"),
        ("drop port=80-70", "`80-70` is no port"),
        ("drop port=70000", "`70000` is no port"),
        ("drop address=10.0.0.0/40", "`10.0.0.0/40` is no address"),
        ("drop uid=root", "`root` is no user id"),
        ("drop direction=out", "`out` is no direction"),
        ("drop cgroup=a", "`a` is no cgroup"),
        ("drop cgroup=/a/../b", "`/a/../b` is no cgroup"),
        ("drop executable=/usr//curl", "`/usr//curl` is no executable"),
        ("drop executable=", "`` is no executable"),
    ] {
        assert!(error(text).contains(names), "{text}: {}", error(text));
    }
    let long = format!("drop executable=/{}", "x".repeat(255));
    assert!(error(&long).contains("is no executable"));
    let many = vec!["keep".parse().expect("a rule"); RULES_MAX + 1];
    assert_eq!(Filter::new(many), Err(RuleError::TooMany(65)));
}
