use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn read(fields: &[(&str, &str)]) -> WireContext {
    WireContext::read(fields.iter().map(|(name, value)| (*name, value.as_bytes())))
}

fn parent(fields: &[(&str, &str)]) -> Option<(String, String, bool)> {
    read(fields).parent.map(|it| (it.trace_id.to_string(), it.span_id.to_string(), it.sampled))
}

fn known(sampled: bool) -> Option<(String, String, bool)> {
    Some((TRACE.to_owned(), SPAN.to_owned(), sampled))
}

fn tracestate(values: &[&str]) -> Option<String> {
    let traceparent = format!("00-{TRACE}-{SPAN}-01");
    let mut fields = vec![("traceparent", traceparent.as_str())];
    fields.extend(values.iter().map(|value| ("tracestate", *value)));
    read(&fields).tracestate.map(String::from)
}

#[test]
fn traceparent_is_found_under_a_name_of_any_case_and_its_sampled_bit_alone_counts() {
    for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("03", true)] {
        let value = format!("00-{TRACE}-{SPAN}-{flags}");
        assert_eq!(parent(&[("TraceParent", &value)]), known(sampled));
    }
}

#[test]
fn traceparent_with_zero_ids_wrong_length_upper_case_or_version_ff_is_refused() {
    let zeros = "0".repeat(32);
    for value in [
        format!("00-{zeros}-{SPAN}-01"),
        format!("00-{TRACE}-{}-01", &zeros[..16]),
        format!("00-{TRACE}-{SPAN}-0"),
        format!("00-{TRACE}-{SPAN}-011"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
        format!("00-{TRACE}-{SPAN}-0A"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("00_{TRACE}_{SPAN}_01"),
        format!("00-{TRACE}g{SPAN}-01"),
        "é".repeat(30),
        String::new(),
    ] {
        assert_eq!(parent(&[("traceparent", &value)]), None, "{value}");
    }
}

#[test]
fn traceparent_of_a_future_version_is_read_by_its_first_four_fields() {
    for (tail, valid) in [("", true), ("-", true), ("-what", true), (".what", false)] {
        let value = format!("cc-{TRACE}-{SPAN}-01{tail}");
        let expected = valid.then(|| known(true)).flatten();
        assert_eq!(parent(&[("traceparent", &value)]), expected, "{value}");
    }
}

#[test]
fn traceparent_sent_twice_is_invalid_even_if_both_agree() {
    let value = format!("00-{TRACE}-{SPAN}-01");
    let fields = [("traceparent", value.as_str()), ("Traceparent", &value)];
    assert_eq!(parent(&fields), None);
}

#[test]
fn tracestate_is_combined_in_order_and_empty_members_vanish() {
    let combined = tracestate(&["foo=1 \t, \t bar=2,", "", "rojo=a b"]);
    assert_eq!(combined.as_deref(), Some("foo=1,bar=2,rojo=a b"));
    assert_eq!(tracestate(&["", " , "]), None);
}

#[test]
fn tracestate_with_one_bad_member_or_a_repeated_key_is_invalid_as_a_whole() {
    for value in ["foo=1,foo=2", "foo =1", "FOO=1", "foo.bar=1", "@foo=1", "=1", "foo=", "foo=1=2", "foo", "foo=é"] {
        assert_eq!(tracestate(&["bar=2", value]), None, "{value}");
    }
    let long = |key: usize| format!("{}=1", "z".repeat(key));
    assert!(tracestate(&[&long(256)]).is_some());
    assert_eq!(tracestate(&[&long(257)]), None);
}

#[test]
fn tracestate_of_33_members_is_invalid_and_of_32_is_kept() {
    let list = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>();
    assert_eq!(tracestate(&[&list(32).join(",")]), Some(list(32).join(",")));
    assert_eq!(tracestate(&[&list(33).join(",")]), None);
}

#[test]
fn tracestate_over_512_characters_loses_long_members_first_and_then_its_tail() {
    let long = format!("long={}", "x".repeat(124));
    let short = |n: u32| format!("k{n}={}", "y".repeat(97));
    let five = (1..=5).map(short).collect::<Vec<_>>();
    let whole = [vec![long], five.clone()].concat().join(",");
    assert_eq!(tracestate(&[&whole]), Some(five.join(",")));

    let six = (1..=6).map(short).collect::<Vec<_>>();
    assert_eq!(tracestate(&[&six.join(",")]), Some(five.join(",")));

    let exact = format!("{},k={}", five.join(","), "z".repeat(5));
    assert_eq!(exact.len(), 512);
    assert_eq!(tracestate(&[&exact]), Some(exact));
}

#[test]
fn tracestate_without_a_valid_traceparent_is_not_read() {
    let b3 = format!("{TRACE}-{SPAN}-1");
    let context = read(&[("b3", &b3), ("tracestate", "foo=1")]);
    assert!(context.parent.is_some());
    assert_eq!(context.tracestate, None);
}

#[test]
fn b3_single_field_with_and_without_sampling_state_and_with_a_short_trace_id() {
    for (tail, sampled) in [("", true), ("-1", true), ("-d", true), ("-0", false)] {
        let value = format!("{TRACE}-{SPAN}{tail}");
        assert_eq!(parent(&[("B3", &value)]), known(sampled), "{value}");
    }
    let with_grandparent = format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90");
    assert_eq!(parent(&[("b3", &with_grandparent)]), known(true));
    let short = format!("{SPAN}-{SPAN}-1");
    let expected = (format!("{}{SPAN}", "0".repeat(16)), SPAN.to_owned(), true);
    assert_eq!(parent(&[("b3", &short)]), Some(expected));
}

#[test]
fn b3_single_field_without_ids_or_malformed_names_no_parent() {
    let zero = "0".repeat(16);
    for value in [
        "0".to_owned(),
        "1".to_owned(),
        "d".to_owned(),
        format!("{TRACE}-{zero}-1"),
        format!("{TRACE}-{SPAN}-x"),
        format!("{TRACE}-{SPAN}-1-x"),
        format!("{TRACE}-{SPAN}-1-{SPAN}-1"),
        format!("{TRACE}-{}", &SPAN[1..]),
        format!("{}-{SPAN}", &TRACE[1..]),
    ] {
        assert_eq!(parent(&[("b3", &value)]), None, "{value}");
    }
}

#[test]
fn b3_several_fields_need_both_ids_and_debug_counts_as_sampled() {
    let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
    assert_eq!(parent(&ids), known(true));
    assert_eq!(parent(&ids[..1]), None);
    assert_eq!(parent(&ids[1..]), None);
    let with = |more: &[(&'static str, &'static str)]| parent(&[&ids[..], more].concat());
    assert_eq!(with(&[("x-b3-sampled", "0")]), known(false));
    assert_eq!(with(&[("x-b3-sampled", "false")]), known(false));
    assert_eq!(with(&[("x-b3-sampled", "0"), ("x-b3-flags", "1")]), known(true));
    assert_eq!(with(&[("x-b3-spanid", SPAN)]), None);
}

#[test]
fn uber_trace_id_takes_ids_without_leading_zeros_and_escaped_colons() {
    for value in
        [format!("{TRACE}:{SPAN}:0:1"), format!("{TRACE}:f067aa0ba902b7::03"), format!("{TRACE}%3A{SPAN}%3a0%3A1")]
    {
        assert_eq!(parent(&[("Uber-Trace-Id", &value)]), known(true), "{value}");
    }
    let unsampled = format!("{TRACE}:{SPAN}:0:0");
    assert_eq!(parent(&[("uber-trace-id", &unsampled)]), known(false));
    for value in [
        format!("0:{SPAN}:0:1"),
        format!("{TRACE}:0:0:1"),
        format!("{TRACE}:{SPAN}:1"),
        format!("{TRACE}:{SPAN}:0:1:1"),
        format!("{TRACE}0:{SPAN}:0:1"),
        format!("{TRACE}:{SPAN}:0:x"),
    ] {
        assert_eq!(parent(&[("uber-trace-id", &value)]), None, "{value}");
    }
}

#[test]
fn the_valid_parent_of_the_first_format_wins() {
    let other = TRACE.replace('4', "5");
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    let b3 = format!("{other}-{SPAN}-1");
    let jaeger = format!("{other}:{SPAN}:0:0");
    let all = [("uber-trace-id", jaeger.as_str()), ("b3", &b3), ("traceparent", &w3c)];
    assert_eq!(parent(&all), known(true));
    assert_eq!(parent(&all[..2]), Some((other, SPAN.to_owned(), true)));
    let broken = [("traceparent", "00-x"), ("b3", "0"), ("uber-trace-id", &jaeger)];
    assert!(parent(&broken).is_some_and(|it| !it.2));
}

#[test]
fn correlation_ids_are_kept_as_they_are_if_short_visible_and_said_once() {
    let context = read(&[("X-Request-ID", "req/1"), ("x-trace-id", "Root=1")]);
    assert_eq!(context.request_id.as_deref(), Some("req/1"));
    assert_eq!(context.x_trace_id.as_deref(), Some("Root=1"));
    for value in ["", "a b", "é", &"x".repeat(257)] {
        assert_eq!(read(&[("x-request-id", value)]).request_id, None);
    }
    assert!(read(&[("x-request-id", &"x".repeat(256))]).request_id.is_some());
    let twice = [("x-request-id", "a"), ("x-request-id", "b")];
    assert_eq!(read(&twice).request_id, None);
}
