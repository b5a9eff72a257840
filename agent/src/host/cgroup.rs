//! Containers and pods, from a process's control groups.
//!
//! Paths differ by runtime, by cgroup driver (`cgroupfs`, `systemd`), by version and by the namespace they are read in,
//! so nothing is matched from their start: the innermost container id and the innermost pod id count.

/// A process's control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cgroups {
    /// One path per hierarchy.
    paths: Vec<String>,
}

impl Cgroups {
    /// Reads the content of `/proc/PID/cgroup`: lines of `hierarchy:controllers:path` (cgroups(7)).
    pub(super) fn parse(content: &[u8]) -> Self {
        let paths = content
            .split(|&byte| byte == b'\n')
            .filter_map(|line| {
                let line = std::str::from_utf8(line).ok()?;
                let path = line.splitn(3, ':').nth(2)?;
                path.starts_with('/').then(|| path.to_owned())
            })
            .collect();
        Self { paths }
    }

    /// Whether the process is in the group `prefix`, or in one below it, in any hierarchy.
    pub(super) fn is_below(&self, prefix: &str) -> bool {
        let prefix = prefix.trim_end_matches('/');
        self.paths
            .iter()
            .any(|path| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// Id of the innermost container: 64 hexadecimal digits.
    pub(super) fn container(&self) -> Option<&str> {
        self.innermost(container)
    }

    /// Uid of the innermost Kubernetes pod, with hyphens. Static pods have none: theirs in the path is a hash of their
    /// manifest and not the API object's.
    pub(super) fn pod(&self) -> Option<String> {
        self.innermost(pod)
    }

    fn innermost<'a, T>(&'a self, found: impl Fn(&'a str) -> Option<T>) -> Option<T> {
        self.paths.iter().find_map(|path| path.rsplit('/').find_map(&found))
    }
}

/// `<id>`, `docker-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>.scope`, `libpod-<id>.scope`, and containerd's
/// `<slice>:cri-containerd:<id>`. The monitors beside containers (`crio-conmon-<id>.scope`) are not in them.
fn container(component: &str) -> Option<&str> {
    const RUNTIMES: &[&str] = &["cri-containerd", "crio", "docker", "libpod", "nerdctl"];
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let name = name.rsplit(':').next().unwrap_or(name);
    let id = match name.rsplit_once('-') {
        Some((runtime, id)) if RUNTIMES.contains(&runtime) => id,
        Some(_) => return None,
        None => name,
    };
    (id.len() == 64 && is_hexadecimal(id)).then_some(id)
}

/// `pod<uid>` and `kubepods-burstable-pod<uid with _ for ->.slice`.
fn pod(component: &str) -> Option<String> {
    let name = component.split(':').next().unwrap_or(component);
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let (_, uid) = name.rsplit_once("pod")?;
    let uid = uid.replace('_', "-");
    let groups: Vec<&str> = uid.split('-').collect();
    let is_uid =
        groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(|group| is_hexadecimal(group));
    is_uid.then_some(uid)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "38fff38a475a53783d8bebbd9db61b8338fff38a475a53783d8bebbd9db61b83";
    const UID: &str = "3b1a2f6c-7d0e-4c55-9a43-0f6a1d2e8b77";

    /// Container and pod of a cgroup file; `ID`, `UID` and `U_D` stand for the ids.
    fn ids(content: &str) -> (bool, Option<String>) {
        let content = content.replace("UID", UID).replace("U_D", &UID.replace('-', "_")).replace("ID", ID);
        let groups = Cgroups::parse(content.as_bytes());
        if let Some(container) = groups.container() {
            assert_eq!(container, ID);
        }
        (groups.container().is_some(), groups.pod())
    }

    #[test]
    fn containers_of_every_runtime() {
        for line in [
            "0::/docker/ID",
            "0::/system.slice/docker-ID.scope",
            "12:memory:/docker/ID\n11:cpu,cpuacct:/docker/ID\n0::/",
            "0::/machine.slice/libpod-ID.scope/container",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            "9:memory:/libpod_parent/somepod/libpod-ID",
            "0::/system.slice/containerd.service/kubepods-pod.slice:cri-containerd:ID",
            "0::/../cri-containerd-ID.scope",
            "0::/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/docker/ID",
        ] {
            assert_eq!(ids(line), (true, None), "{line}");
        }
    }

    #[test]
    fn kubernetes_pods_of_both_drivers() {
        let uid = Some(UID.to_owned());
        for line in [
            "5:memory:/kubepods/podUID/ID",
            "5:memory:/kubepods/burstable/podUID/ID",
            "0::/kubepods.slice/kubepods-podU_D.slice/cri-containerd-ID.scope",
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope",
            "0::/../../kubepods-besteffort-podU_D.slice/cri-containerd-ID.scope",
            "0::/system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID",
        ] {
            assert_eq!(ids(line), (true, uid.clone()), "{line}");
        }
        let hash = "0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/ID";
        assert_eq!(ids(hash), (true, None));
    }

    #[test]
    fn processes_of_the_host_are_in_no_container() {
        for line in [
            "0::/",
            "0::/init.scope",
            "0::/system.slice/nginx.service",
            "0::/user.slice/user-0.slice/session-1.scope",
            "0::/machine.slice/crio-conmon-ID.scope",
            "0::/kubepods.slice/tripod-shop.slice",
            "",
            "garbage",
            "1:2",
            "1:name=systemd:relative/ID",
        ] {
            assert_eq!(ids(line), (false, None), "{line}");
        }
    }

    #[test]
    fn group_prefixes_end_at_a_slash() {
        let groups = Cgroups::parse(b"3:cpu:/\n0::/system.slice/nginx.service/workers\n");
        for prefix in ["/", "/system.slice", "/system.slice/nginx.service/", "/system.slice/nginx.service/workers"] {
            assert!(groups.is_below(prefix), "{prefix}");
        }
        assert!(!groups.is_below("/system.slice/nginx"));
        assert!(!groups.is_below("/user.slice"));
    }

    #[test]
    fn hostile_content_is_ignored() {
        let groups = Cgroups::parse(&[&[0xff; 1000][..], b"\n0::/\xff/x\n0::/ok:with:colons\n"].concat());
        assert!(groups.is_below("/ok:with:colons"));
        assert_eq!(groups.container(), None);
    }
}
