//! A request target and its host, taken apart without what must not leave the host: credentials, query, session ids.

use std::borrow::Cow;

/// A request target (RFC 9112 section 3.2) with the host it is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Scheme: the target's own in absolute form, else `http`, since what is parsed here was not encrypted.
    pub(super) scheme: &'static str,
    /// Host and port the request names: the target's own if it has one, else those of `Host`.
    pub(super) authority: Option<Authority<'a>>,
    /// Path, `*` in asterisk form, empty in authority form.
    pub(super) path: Cow<'a, str>,
}

/// A host, and its port if one was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// Host, without the brackets of an IPv6 address.
    pub(super) host: &'a str,
    /// Port.
    pub(super) port: Option<u16>,
}

impl<'a> Target<'a> {
    /// Takes `target` of a request with this method and `Host` apart.
    pub(super) fn parse(method: &str, target: &'a str, host: Option<&'a str>) -> Self {
        let of_host = host.and_then(Authority::parse);
        if method == "CONNECT" {
            let authority = Authority::parse(target).or(of_host);
            return Self { scheme: "http", authority, path: Cow::Borrowed("") };
        }
        let (scheme, own, rest) = match absolute(target) {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                (scheme, Authority::parse(&rest[..end]), &rest[end..])
            }
            None => ("http", None, target),
        };
        let path = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        let path = if path.is_empty() { "/" } else { path };
        Self { scheme, authority: own.or(of_host), path: without_session(path) }
    }
}

impl<'a> Authority<'a> {
    /// Reads `[userinfo@]host[:port]`, dropping the userinfo; none if the host is empty.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.rsplit_once('@').map_or(text, |(_, after)| after).trim();
        let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.and_then(|port| port.parse().ok());
        (!host.is_empty()).then_some(Self { host, port })
    }
}

/// Scheme and rest of a target in absolute form.
fn absolute(target: &str) -> Option<(&'static str, &str)> {
    ["http", "https"].into_iter().find_map(|scheme| {
        let head = target.get(..scheme.len())?;
        let rest = target[scheme.len()..].strip_prefix("://")?;
        head.eq_ignore_ascii_case(scheme).then_some((scheme, rest))
    })
}

/// Drops the session ids that servlet containers write into paths (`;jsessionid=...`): who reads one is logged in.
fn without_session(path: &str) -> Cow<'_, str> {
    const PARAMETER: &str = ";jsessionid=";
    if !path.contains(';') {
        return Cow::Borrowed(path);
    }
    let mut kept = String::with_capacity(path.len());
    let mut rest = path;
    // Lower-casing ASCII keeps every byte offset.
    while let Some(at) = rest.to_ascii_lowercase().find(PARAMETER) {
        kept.push_str(&rest[..at]);
        let value = &rest[at + PARAMETER.len()..];
        rest = &value[value.find(['/', ';']).unwrap_or(value.len())..];
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::{Authority, Target};

    fn at(host: &str, port: Option<u16>) -> Option<Authority<'_>> {
        Some(Authority { host, port })
    }

    #[test]
    fn origin_form_takes_the_host_field_and_loses_its_query() {
        let target = Target::parse("GET", "/a/b?token=secret", Some("api:8080"));
        assert_eq!(target.authority, at("api", Some(8080)));
        assert_eq!((target.scheme, target.path.as_ref()), ("http", "/a/b"));
    }

    #[test]
    fn absolute_form_wins_over_the_host_field_and_loses_its_credentials() {
        let target = Target::parse("GET", "HTTPS://u:p@h:1?q#f", Some("other"));
        assert_eq!(target.authority, at("h", Some(1)));
        assert_eq!((target.scheme, target.path.as_ref()), ("https", "/"));
    }

    #[test]
    fn a_url_inside_a_path_is_a_path() {
        assert_eq!(Target::parse("GET", "/http://x/", None).path, "/http://x/");
    }

    #[test]
    fn authority_form_has_no_path() {
        let target = Target::parse("CONNECT", "db:5432", Some("db"));
        assert_eq!((target.authority, target.path.as_ref()), (at("db", Some(5432)), ""));
    }

    #[test]
    fn asterisk_form_keeps_its_asterisk() {
        assert_eq!(Target::parse("OPTIONS", "*", Some("h")).path, "*");
    }

    #[test]
    fn hosts_of_every_shape_are_taken_apart() {
        assert_eq!(Authority::parse("[::1]:80"), at("::1", Some(80)));
        assert_eq!(Authority::parse("[::1]"), at("::1", None));
        assert_eq!(Authority::parse("h:99999"), at("h", None));
        assert_eq!(Authority::parse("user:password@h"), at("h", None));
        assert_eq!(Authority::parse(":80"), None);
        assert_eq!(Authority::parse(""), None);
    }

    #[test]
    fn session_ids_in_a_path_are_dropped() {
        let path = |target| Target::parse("GET", target, None).path;
        assert_eq!(path("/a;JSESSIONID=1F/b;v=2"), "/a/b;v=2");
        assert_eq!(path("/a;jsessionid=1F;v=2"), "/a;v=2");
        assert_eq!(path("/ä;jsessionid=1F"), "/ä");
    }
}
