//! What a process declares of itself in its environment, by OpenTelemetry's variables.

use super::limits::{DECLARED_ATTRIBUTES_MAX, NAME_CHARS_MAX, VALUE_CHARS_MAX};
use super::text::clean;

/// Resource attributes a process was started with. Its own words: nothing here is trusted to be true, only to be
/// bounded and printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// In the order written; names may repeat, the last counts. `service.name` is among them if it was declared.
    pub(super) attributes: Vec<(String, String)>,
}

impl Declared {
    /// Reads the content of `/proc/PID/environ`. `cut`: it was longer, so its last variable may be half of one.
    pub(super) fn parse(environ: &[u8], cut: bool) -> Self {
        let whole = if cut {
            let end = environ.iter().rposition(|&byte| byte == 0).unwrap_or(0);
            &environ[..end]
        } else {
            environ
        };
        let mut attributes = variable(whole, b"OTEL_RESOURCE_ATTRIBUTES").map(resource_attributes).unwrap_or_default();
        // The variable of its own wins over the list (OpenTelemetry environment variable specification).
        if let Some(name) = variable(whole, b"OTEL_SERVICE_NAME").and_then(|name| clean(name, NAME_CHARS_MAX)) {
            attributes.push(("service.name".to_owned(), name));
        }
        Self { attributes }
    }

    /// What the agent itself was given to say of its host.
    pub(super) fn of_agent() -> Self {
        let list = std::env::var_os("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        Self { attributes: resource_attributes(list.as_encoded_bytes()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }
}

/// The value of a variable: the first of that name, as `getenv` has it.
fn variable<'a>(environ: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    environ.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

/// `key=value,key=value` with percent-encoded values (resource SDK specification). A pair that is none is left out;
/// the specification would discard all, which would punish a process's spans for a comma.
fn resource_attributes(list: &[u8]) -> Vec<(String, String)> {
    list.split(|&byte| byte == b',')
        .filter_map(|pair| {
            let equals = pair.iter().position(|&byte| byte == b'=')?;
            let value = percent_decoded(&pair[equals + 1..])?;
            Some((clean(&pair[..equals], NAME_CHARS_MAX)?, clean(&value, VALUE_CHARS_MAX)?))
        })
        .take(DECLARED_ATTRIBUTES_MAX)
        .collect()
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(declared: &Declared) -> Vec<(&str, &str)> {
        declared.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn the_service_name_variable_comes_last_and_so_wins() {
        let environ = b"PATH=/bin\0OTEL_SERVICE_NAME=cart\0HOME=/\0\
            OTEL_RESOURCE_ATTRIBUTES=service.name=other,service.version=1.4,deployment.environment.name=a%2Cb\0";
        assert_eq!(
            pairs(&Declared::parse(environ, false)),
            [
                ("service.name", "other"),
                ("service.version", "1.4"),
                ("deployment.environment.name", "a,b"),
                ("service.name", "cart"),
            ]
        );
    }

    #[test]
    fn only_whole_names_count_and_the_first_of_them() {
        let environ = b"XOTEL_SERVICE_NAME=a\0OTEL_SERVICE_NAMES=b\0OTEL_SERVICE_NAME=c\0OTEL_SERVICE_NAME=d\0";
        assert_eq!(pairs(&Declared::parse(environ, false)), [("service.name", "c")]);
    }

    #[test]
    fn a_variable_cut_by_the_cap_is_not_believed() {
        assert!(Declared::parse(b"A=1\0OTEL_SERVICE_NAME=car", true).is_empty());
        assert!(Declared::parse(b"OTEL_SERVICE_NAME=car", true).is_empty());
        assert!(!Declared::parse(b"A=1\0OTEL_SERVICE_NAME=car", false).is_empty());
    }

    #[test]
    fn pairs_that_are_none_are_left_out() {
        let environ = b"OTEL_RESOURCE_ATTRIBUTES=,=x,novalue,empty=,bad=%zz,cut=%4,ok= y ,\x1b=z\0";
        assert_eq!(pairs(&Declared::parse(environ, false)), [("ok", "y")]);
    }

    #[test]
    fn hostile_environments_stay_bounded() {
        let many = format!("OTEL_RESOURCE_ATTRIBUTES={}", "k=v,".repeat(100_000));
        let declared = Declared::parse(many.as_bytes(), false);
        assert_eq!(declared.attributes.len(), DECLARED_ATTRIBUTES_MAX);

        let long = [b"OTEL_SERVICE_NAME=".as_slice(), &vec![b'n'; 1 << 20]].concat();
        let declared = Declared::parse(&long, false);
        assert_eq!(declared.attributes[0].1.len(), NAME_CHARS_MAX);

        let invalid = b"OTEL_SERVICE_NAME=\xff\xfe\x1b[2J\r\nx\0".to_vec();
        assert_eq!(pairs(&Declared::parse(&invalid, false)), [("service.name", "\u{fffd}\u{fffd}[2Jx")]);
        assert!(Declared::parse(&[0xff; 4096], true).is_empty());
        assert!(Declared::parse(&[], true).is_empty());
    }
}
