use super::*;

fn merged(given: Settings, file: Settings) -> Result<Config, Error> {
    Config::new(given, file)
}

fn refused(given: Settings) -> String {
    merged(given, Settings::default()).expect_err("refused").to_string()
}

#[test]
fn defaults_trace_everything_and_leave_the_exporter_to_the_environment() {
    let config = merged(Settings::default(), Settings::default()).expect("valid");
    assert!(config.targets.is_everything());
    assert!(config.exclude_paths.is_empty());
    assert_eq!(config.exporter, Exporter::Unspecified);
    assert_eq!(config.log_level, LogLevel::Info);
    assert_eq!(config.log_format, LogFormat::Text);
    assert_eq!(config.limits.ring_bytes, RING_BYTES);
    assert!(!config.second);
}

#[test]
fn what_is_given_wins_and_lists_replace() {
    let given =
        Settings { ports: vec![80], log_level: Some(LogLevel::Warn), second: Some(false), ..Settings::default() };
    let file = Settings {
        ports: vec![8080, 8081],
        pids: vec![7],
        log_level: Some(LogLevel::Debug),
        log_format: Some(LogFormat::Json),
        second: Some(true),
        ..Settings::default()
    };
    let config = merged(given, file).expect("valid");
    assert_eq!(config.targets.ports, [80]);
    assert_eq!(config.targets.pids, [7]);
    assert_eq!(config.log_level, LogLevel::Warn);
    assert_eq!(config.log_format, LogFormat::Json);
    assert!(!config.second);
}

#[test]
fn the_output_goes_with_the_file_exporter() {
    let settings = |exporter, output: Option<&str>| Settings {
        exporter,
        output: output.map(PathBuf::from),
        ..Settings::default()
    };
    let exporter = |given, file| merged(given, file).map(|config| config.exporter);
    let nothing = Settings::default;
    let to_x = || Exporter::File("x".into());

    assert_eq!(exporter(settings(None, Some("x")), nothing()).expect("valid"), to_x());
    let file = settings(Some(ExporterKind::File), Some("x"));
    assert_eq!(exporter(nothing(), file.clone()).expect("valid"), to_x());
    // The flag asks for the file exporter, the file says where to.
    assert_eq!(exporter(settings(Some(ExporterKind::File), None), file.clone()).expect("valid"), to_x());
    // A flag turns to another exporter, and the file's output has no say.
    assert_eq!(exporter(settings(Some(ExporterKind::Console), None), file).expect("valid"), Exporter::Console);
    let missing = refused(settings(Some(ExporterKind::File), None));
    assert!(missing.contains("--output"), "{missing}");
    let useless = refused(settings(Some(ExporterKind::Otlp), Some("x")));
    assert!(useless.contains("`otlp`"), "{useless}");
}

#[test]
fn values_out_of_range_are_named() {
    for (settings, expected) in [
        (Settings { pids: vec![0], ..Settings::default() }, "--pid"),
        (Settings { ports: vec![0], ..Settings::default() }, "--port"),
        (Settings { cgroups: vec!["system.slice".into()], ..Settings::default() }, "--cgroup"),
        (Settings { cgroups: vec!["/".into()], ..Settings::default() }, "--cgroup"),
        (Settings { executables: vec!["[".into()], ..Settings::default() }, "--executable"),
        (Settings { executables: vec![String::new()], ..Settings::default() }, "--executable"),
        (Settings { exclude_paths: vec!["{a".into()], ..Settings::default() }, "--exclude-path"),
        (Settings { ring_bytes: Some(5000), ..Settings::default() }, "ring_bytes"),
        (Settings { ring_bytes: Some(4096), ..Settings::default() }, "ring_bytes"),
        (Settings { process_budget_bytes: Some(1), ..Settings::default() }, "process_budget_bytes"),
    ] {
        let text = refused(settings);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn groups_may_be_copied_from_the_mounted_tree() {
    let settings = Settings {
        cgroups: vec![
            "/sys/fs/cgroup/system.slice/shop.service/".into(),
            "/sys/fs/cgroup/unified/shop".into(),
            "/docker".into(),
        ],
        ..Settings::default()
    };
    let config = merged(settings, Settings::default()).expect("valid");
    assert_eq!(config.targets.cgroups, ["/system.slice/shop.service", "/shop", "/docker"]);
}

#[test]
fn executables_match_by_name_or_by_path() {
    let patterns = ["nginx", "python3*", "/opt/**/java"].map(String::from);
    let executables = Executables::new(&patterns).expect("patterns");
    for path in ["/usr/sbin/nginx", "nginx", "/usr/bin/python3.11", "/opt/jvm/17/bin/java"] {
        assert!(executables.matches(path), "{path}");
    }
    for path in ["/usr/sbin/nginx-debug", "/usr/lib/java", "/nginx/sh", ""] {
        assert!(!executables.matches(path), "{path}");
    }
}

#[test]
fn paths_match_within_segments_and_without_the_query() {
    let paths = Paths::new(&["/healthz", "/static/**", "/v*/ping"].map(String::from)).expect("patterns");
    for target in ["/healthz", "/healthz?full=1", "/static/a/b.css", "/v1/ping"] {
        assert!(paths.matches(target), "{target}");
    }
    for target in ["/healthz/deep", "/v1/x/ping", "/", "", "/orders?next=/healthz"] {
        assert!(!paths.matches(target), "{target}");
    }
    assert!(!Paths::default().matches("/healthz"));
}
