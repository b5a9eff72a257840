//! OpenTelemetry resource attributes of a process.

use std::collections::BTreeMap;

use super::cgroup::Cgroups;
use super::declared::Declared;
use super::identity::Identity;

/// What the attributes are made of.
pub(super) struct Facts<'a> {
    pub(super) identity: &'a Identity,
    pub(super) declared: &'a Declared,
    pub(super) cgroups: &'a Cgroups,
    /// The name found where none is declared.
    pub(super) service: &'a str,
    pub(super) executable_name: &'a str,
    pub(super) executable_path: &'a str,
    pub(super) life: Life,
}

/// What tells one process from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// Start, in clock ticks after boot.
    pub(super) start_ticks: u64,
}

/// The attributes, sorted by name. A process may declare what service it is; it may not declare where it runs, what it
/// is, or who watches it. What the operator says of the host (its node, cluster, environment) stands where nothing
/// better is known.
pub(super) fn attributes(facts: &Facts<'_>) -> Vec<(String, String)> {
    let mut attributes: BTreeMap<String, String> = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        attributes.insert(name.to_owned(), value);
    };
    for (name, value) in facts.identity.declared.iter().filter(|(name, _)| !name.starts_with("service.")) {
        put(name, value.clone());
    }
    put("service.name", facts.service.to_owned());
    for (name, value) in &facts.declared.attributes {
        if !is_ours(name) {
            put(name, value.clone());
        }
    }
    put("host.id", facts.identity.id.clone());
    put("host.name", facts.identity.name.clone());
    // Jaeger takes two spans for those of one host, whose clocks need no correction, if these agree.
    put("ip", facts.identity.ip.to_string());
    put("os.type", "linux".to_owned());
    put("process.executable.name", facts.executable_name.to_owned());
    put("process.executable.path", facts.executable_path.to_owned());
    if let Some(container) = facts.cgroups.container() {
        put("container.id", container.to_owned());
    }
    if let Some(pod) = facts.cgroups.pod() {
        put("k8s.pod.uid", pod);
    }
    // Not `telemetry.sdk`: that names the SDK within a program, and its language.
    put("telemetry.distro.name", "tracemend".to_owned());
    put("telemetry.distro.version", env!("CARGO_PKG_VERSION").to_owned());
    let mut attributes = attributes.into_iter().collect();
    relive(&mut attributes, facts.identity, facts.life);
    attributes
}

/// Sets the attributes that tell processes of one service apart. A declared `service.instance.id` would be the same for
/// all processes forked from one, so it does not stand.
pub(super) fn relive(attributes: &mut Vec<(String, String)>, identity: &Identity, life: Life) {
    let Life { pid, parent, start_ticks } = life;
    let own = [
        ("process.parent_pid", parent.to_string()),
        ("process.pid", pid.to_string()),
        ("service.instance.id", format!("{pid}@{}:{start_ticks}", identity.name)),
    ];
    for (name, value) in own {
        match attributes.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
            Ok(index) => attributes[index].1 = value,
            Err(index) => attributes.insert(index, (name.to_owned(), value)),
        }
    }
}

fn is_ours(name: &str) -> bool {
    const PREFIXES: [&str; 6] = ["container.", "host.", "k8s.", "os.", "process.", "telemetry."];
    name == "ip" || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            id: "3d1219c7c4c5404aaa1f6d2a48adfda4".into(),
            name: "node1".into(),
            ip: "192.0.2.2".parse().expect("an address"),
            declared: vec![
                ("k8s.node.name".into(), "worker-3".into()),
                ("service.name".into(), "tracemend".into()),
                ("team".into(), "platform".into()),
            ],
        }
    }

    fn of(environ: &str) -> BTreeMap<String, String> {
        let id = "ab".repeat(32);
        let facts = Facts {
            identity: &identity(),
            declared: &Declared::parse(environ.as_bytes(), false),
            cgroups: &Cgroups::parse(format!("0::/docker/{id}\n").as_bytes()),
            service: "cart",
            executable_name: "python3.11",
            executable_path: "/usr/bin/python3.11",
            life: Life { pid: 7, parent: 1, start_ticks: 99 },
        };
        let list = attributes(&facts);
        assert!(list.is_sorted(), "{list:?}");
        list.into_iter().collect()
    }

    #[test]
    fn what_the_operator_says_of_the_host_is_on_every_process_and_its_services_are_not() {
        let found = of("OTEL_RESOURCE_ATTRIBUTES=team=shop,k8s.node.name=lie\0");
        assert_eq!(found["k8s.node.name"], "worker-3");
        assert_eq!(found["team"], "shop", "a process knows its team better");
        assert_eq!(found["service.name"], "cart");
    }

    #[test]
    fn the_declared_service_goes_before_the_found_one() {
        assert_eq!(of("")["service.name"], "cart");
        let declared = of("OTEL_SERVICE_NAME=shop\0OTEL_RESOURCE_ATTRIBUTES=service.version=2,team=a\0");
        assert_eq!(declared["service.name"], "shop");
        assert_eq!(declared["service.version"], "2");
        assert_eq!(declared["team"], "a");
    }

    #[test]
    fn a_process_cannot_declare_where_it_runs() {
        let lies = of("OTEL_RESOURCE_ATTRIBUTES=host.id=x,ip=6.6.6.6,process.pid=1,container.id=y,k8s.pod.name=z,\
            telemetry.distro.name=other,service.instance.id=i\0");
        assert_eq!(lies["host.id"], identity().id);
        assert_eq!(lies["ip"], "192.0.2.2");
        assert_eq!(lies["process.pid"], "7");
        assert_eq!(lies["container.id"], "ab".repeat(32));
        assert!(!lies.contains_key("k8s.pod.name"));
        assert_eq!(lies["telemetry.distro.name"], "tracemend");
        assert_eq!(lies["service.instance.id"], "7@node1:99");
    }

    #[test]
    fn a_forked_process_differs_only_in_its_life() {
        let mut list: Vec<_> = of("OTEL_SERVICE_NAME=shop\0").into_iter().collect();
        let before = list.clone();
        relive(&mut list, &identity(), Life { pid: 8, parent: 7, start_ticks: 100 });
        let changed: Vec<_> = list
            .iter()
            .zip(&before)
            .filter(|(now, then)| now != then)
            .map(|(now, _)| (now.0.as_str(), now.1.as_str()))
            .collect();
        assert_eq!(
            changed,
            [("process.parent_pid", "7"), ("process.pid", "8"), ("service.instance.id", "8@node1:100")]
        );
    }
}
