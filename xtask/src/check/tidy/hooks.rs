//! Hook contracts: a probe is written against a prototype of the kernel, so its file states it.

use std::path::Path;

use super::Violation;

const PROBES: &str = "agent-ebpf/src/probes";

/// The argument by which aya-ebpf's attributes name the hook of a program.
const HOOK: &str = "(function = \"";

/// A file with programs states in its header each hook by name, a prototype as code (`(struct sock *sk, int ret)`), and
/// the file of the kernel that declares it, where the next kernel can be compared.
pub(super) fn check(path: &Path, text: &str, found: &mut Vec<Violation>) {
    let hooks: Vec<_> = text.lines().filter_map(hook).collect();
    if !path.starts_with(PROBES) || hooks.is_empty() {
        return;
    }
    let header: Vec<_> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let header = header.concat();
    let mut broken = |rule: String| found.push(Violation::new(path, 1, rule));
    for hook in hooks.iter().filter(|hook| !header.contains(**hook)) {
        broken(format!("the header does not name the hook `{hook}`"));
    }
    if !code_spans(&header).any(is_parameter_list) {
        broken("the header states no prototype, as in `(struct sock *sk, int ret)`".to_owned());
    }
    if !header.split(|c: char| c.is_whitespace() || "(),;`".contains(c)).any(is_kernel_file) {
        broken("the header does not say which file of the kernel declares the hook".to_owned());
    }
}

/// The hook an attribute names.
fn hook(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let at = line.starts_with("#[").then(|| line.find(HOOK)).flatten()?;
    line[at + HOOK.len()..].split('"').next()
}

fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// C parameters in parentheses: each a type and a name.
fn is_parameter_list(code: &str) -> bool {
    let Some(inside) = code.strip_prefix('(').and_then(|code| code.strip_suffix(')')) else { return false };
    inside == "void" || inside.split(',').all(|parameter| parameter.split_whitespace().count() >= 2)
}

fn is_kernel_file(word: &str) -> bool {
    word.contains('/') && (word.ends_with(".h") || word.ends_with(".c"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "//! Life of sockets.\n//!\n//! Hook: `tp_btf/sock_x`, prototype `(struct sock *sk,\n\
        //! int ret)` (include/trace/events/sock.h, Linux >= 6.3).\n\n#[btf_tracepoint(function = \"sock_x\")]\nfn x() {}\n";

    fn broken(path: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(Path::new(path), text, &mut found);
        found.into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_contract_has_a_name_a_prototype_and_a_file() {
        let probe = "agent-ebpf/src/probes/sock.rs";
        assert_eq!(broken(probe, GOOD), Vec::<String>::new());
        for (from, to, named) in [
            ("tp_btf/sock_x", "tp_btf/sock_y", "`sock_x`"),
            ("struct sock *sk", "sk", "prototype"),
            ("include/trace/events/sock.h", "the kernel", "which file"),
        ] {
            let found = broken(probe, &GOOD.replace(from, to));
            assert!(found.len() == 1 && found[0].contains(named), "{named}: {found:?}");
        }
    }

    #[test]
    fn files_without_programs_and_other_folders_owe_none() {
        assert!(broken("agent-ebpf/src/probes/mod.rs", "//! Probes.\npub mod payload;\n").is_empty());
        assert!(broken("xtask/src/x.rs", "//! X.\n#[btf_tracepoint(function = \"sock_x\")]\n").is_empty());
    }
}
