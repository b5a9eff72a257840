//! The configuration file: TOML, unknown keys are errors.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::Error;
use super::settings::{ExporterKind, LogFormat, LogLevel, Settings};

/// Bytes of a configuration file. Beyond: refused, somebody named the wrong file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A configuration file as written.
///
/// ```toml
/// second = false
///
/// [targets]
/// pids = [4711]
/// executables = ["nginx", "/usr/lib/jvm/**/java"]
/// ports = [8080]
/// cgroups = ["/system.slice/shop.service"]
///
/// [http]
/// exclude_paths = ["/healthz", "/static/**"]
///
/// [log]
/// level = "info"
/// format = "text"
///
/// [export]
/// exporter = "file"
/// output = "/var/log/spans.jsonl"
///
/// [limits]
/// ring_bytes = 4194304
/// process_budget_bytes = 4194304
/// ```
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    second: Option<bool>,
    targets: Targets,
    http: Http,
    log: Log,
    export: Export,
    limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Targets {
    pids: Vec<u32>,
    executables: Vec<String>,
    ports: Vec<u16>,
    cgroups: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    exclude_paths: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    level: Option<LogLevel>,
    format: Option<LogFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Export {
    exporter: Option<ExporterKind>,
    output: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    ring_bytes: Option<u32>,
    process_budget_bytes: Option<u32>,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no such file; the error names the line and the key.
    pub fn read(path: &Path) -> Result<Settings, Error> {
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > FILE_BYTES_MAX {
            return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|source| Error::Parse { path: path.to_owned(), source: Box::new(source) })
    }

    fn parse(text: &str) -> Result<Settings, toml::de::Error> {
        toml::from_str::<Self>(text).map(Self::settings)
    }

    fn settings(self) -> Settings {
        Settings {
            pids: self.targets.pids,
            executables: self.targets.executables,
            ports: self.targets.ports,
            cgroups: self.targets.cgroups,
            exclude_paths: self.http.exclude_paths,
            log_level: self.log.level,
            log_format: self.log.format,
            exporter: self.export.exporter,
            output: self.export.output,
            ring_bytes: self.limits.ring_bytes,
            process_budget_bytes: self.limits.process_budget_bytes,
            second: self.second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PROCESS_BUDGET_BYTES, RING_BYTES};

    /// `key = value` of `#key = value`.
    fn commented_key(line: &str) -> Option<&str> {
        let uncommented = line.strip_prefix('#')?;
        let (name, _) = uncommented.split_once(" = ")?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_name.then_some(uncommented)
    }

    fn error(text: &str) -> String {
        File::parse(text).expect_err("refused").to_string()
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(File::parse(""), Ok(Settings::default()));
    }

    #[test]
    fn every_key_is_taken() {
        let text = r#"
            second = true
            [targets]
            pids = [1, 2]
            executables = ["nginx"]
            ports = [80]
            cgroups = ["/a"]
            [http]
            exclude_paths = ["/healthz"]
            [log]
            level = "debug"
            format = "json"
            [export]
            exporter = "file"
            output = "/tmp/x"
            [limits]
            ring_bytes = 1048576
            process_budget_bytes = 65536
        "#;
        let expected = Settings {
            pids: vec![1, 2],
            executables: vec!["nginx".into()],
            ports: vec![80],
            cgroups: vec!["/a".into()],
            exclude_paths: vec!["/healthz".into()],
            log_level: Some(LogLevel::Debug),
            log_format: Some(LogFormat::Json),
            exporter: Some(ExporterKind::File),
            output: Some("/tmp/x".into()),
            ring_bytes: Some(1 << 20),
            process_budget_bytes: Some(1 << 16),
            second: Some(true),
        };
        assert_eq!(File::parse(text), Ok(expected));
    }

    #[test]
    fn the_manual_names_every_key_with_its_default() {
        let manual = include_str!("../../../deploy/agent.toml");
        let text: Vec<&str> = manual.lines().map(|line| commented_key(line).unwrap_or(line)).collect();
        let settings = File::parse(&text.join("\n")).expect("every key is known");
        let expected = Settings {
            log_level: Some(LogLevel::default()),
            log_format: Some(LogFormat::default()),
            // These two have no default that could be written: the environment decides.
            exporter: Some(ExporterKind::File),
            output: settings.output.clone(),
            ring_bytes: Some(RING_BYTES),
            process_budget_bytes: Some(PROCESS_BUDGET_BYTES),
            second: Some(false),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
        assert!(settings.output.is_some());
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let text = error("[log]\nlevel = \"info\"\n\n[targets]\nport = [80]\n");
        assert!(text.contains("line 5"), "{text}");
        assert!(text.contains("unknown field `port`"), "{text}");
        assert!(text.contains("`ports`"), "{text}");
        assert!(error("[exporter]\n").contains("unknown field `exporter`"));
    }

    #[test]
    fn wrong_values_are_named_with_their_line() {
        let text = error("[log]\nlevel = \"loud\"\n");
        assert!(text.contains("line 2") && text.contains("unknown variant `loud`"), "{text}");
        assert!(error("[targets]\nports = [65536]\n").contains("line 2"));
        assert!(error("[targets]\npids = \"1\"\n").contains("line 2"));
        assert!(error("second = tru\n").contains("line 1"));
    }

    #[test]
    fn the_error_names_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("agent.toml");
        let missing = File::read(&path).expect_err("not there").to_string();
        assert!(missing.contains("agent.toml"), "{missing}");
        std::fs::write(&path, "nonsense").expect("written");
        let broken = File::read(&path).expect_err("no TOML").to_string();
        assert!(broken.contains("agent.toml"), "{broken}");
    }
}
