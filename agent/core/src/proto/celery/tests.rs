//! What Celery sends, real and bent, whole and in pieces.

use proptest::prelude::*;

use super::{Pushes, mask_job, task_of_job};
use crate::ids::TaskId;

const NAME: &str = "36a881c3-0959-411e-bd92-68d9dfc11dfa";
const OTHER: &str = "11111111-2222-3333-4444-555555555555";
const TASK: TaskId =
    TaskId([0x36, 0xa8, 0x81, 0xc3, 0x09, 0x59, 0x41, 0x1e, 0xbd, 0x92, 0x68, 0xd9, 0xdf, 0xc1, 0x1d, 0xfa]);
const OTHER_TASK: TaskId =
    TaskId([0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55]);

/// A message as kombu writes it: the body comes first, and names of other tasks stand around that of this one.
fn message(id: &str) -> String {
    format!(
        r#"{{"body": "W1siciBhbmQgcyJdXQ==", "content-encoding": "utf-8", "headers": {{"lang": "py", "task": "app.work", "id": "{id}", "shadow": null, "timelimit": [null, 3], "root_id": "{OTHER}", "argsrepr": "('\"id\": \"{OTHER}\"',)", "stamps": {{"id": "{OTHER}"}}}}, "properties": {{"correlation_id": "{id}", "id": "{OTHER}", "priority": 0}}}}"#
    )
}

fn command(arguments: &[&str]) -> String {
    let each = arguments.iter().map(|one| format!("${}\r\n{one}\r\n", one.len()));
    format!("*{}\r\n{}", arguments.len(), each.collect::<String>())
}

/// The tasks that are put, and what stays of the bytes.
fn read(bytes: &[u8]) -> (Vec<TaskId>, Vec<u8>) {
    let mut pushes = Pushes::default();
    let tasks = bytes.iter().filter_map(|byte| pushes.take(*byte).task).collect();
    let mut kept = bytes.to_vec();
    Pushes::default().mask(&mut kept);
    (tasks, kept)
}

fn tasks(text: &str) -> Vec<TaskId> {
    read(text.as_bytes()).0
}

#[test]
fn a_task_is_named_by_the_id_among_its_headers() {
    assert_eq!(tasks(&command(&["LPUSH", "celery", &message(NAME)])), [TASK]);
    assert_eq!(tasks(&command(&["rpush", "celery", &message(NAME)])), [TASK]);
    let both = command(&["LPUSH", "celery", &message(NAME), &message(OTHER)]);
    assert_eq!(tasks(&both), [TASK, OTHER_TASK]);
}

#[test]
fn only_what_is_put_into_a_list_is_a_task() {
    for verb in ["HSET", "LPUSHX", "PUBLISH", "RPOPLPUSH", "LPUS", "SETEX"] {
        assert_eq!(tasks(&command(&[verb, "celery", &message(NAME)])), [], "{verb}");
    }
    assert_eq!(tasks(&command(&["LPUSH", &message(NAME)])), [], "the list's key");
    assert_eq!(tasks(&message(NAME)), [], "no command");
}

#[test]
fn commands_in_a_row_are_all_read() {
    let first = command(&["MULTI"]) + &command(&["ZADD", "x", "1", NAME]);
    let all = first + &command(&["LPUSH", "a", &message(NAME)]) + &command(&["EXEC"]);
    assert_eq!(tasks(&all), [TASK]);
    assert_eq!(tasks(&(all.clone() + &all)), [TASK, TASK]);
    let mut pushes = Pushes::default();
    all.bytes().for_each(|byte| _ = pushes.take(byte));
    assert!(pushes.is_between());
}

#[test]
fn what_is_no_message_of_celerys_names_none() {
    let no = [
        format!(r#"{{"headers": ["id", "{NAME}"]}}"#),
        format!(r#"{{"headers": {{"id": {{"id": "{NAME}"}}}}}}"#),
        format!(r#"{{"id": "{NAME}"}}"#),
        format!(r#"[{{"headers": {{"id": "{NAME}"}}}}]"#),
        format!(r#"{{"properties": {{"headers": {{"id": "{NAME}"}}}}}}"#),
        format!(r#"{{"headers": {{"id": "{}"}}}}"#, &NAME[1..]),
        format!(r#"{{"headers": {{"id": "{NAME}0"}}}}"#),
        format!(r#"{{"headers": {{"id": "{}"}}}}"#, NAME.replace('-', "0")),
        format!(r#"{{"headers" {{"id": "{NAME}"}}}}"#),
        "[".repeat(100) + NAME,
    ];
    for text in no {
        assert_eq!(tasks(&command(&["LPUSH", "celery", &text])), [], "{text}");
    }
    let behind = format!(r#"{{"a": {{}}, "b": [[], {{"headers": 1}}], "headers": {{"id": "{NAME}"}}}}"#);
    assert_eq!(tasks(&command(&["LPUSH", "celery", &behind])), [TASK]);
}

#[test]
fn lengths_that_are_none_end_the_turn() {
    let good = command(&["LPUSH", "a", &message(NAME)]);
    for bad in
        ["*\r\n", "*1x\r\n", "*99999999999\r\n", "*1\n", "*1\r\n:3\r\n", "*1\r\n$-1\r\n", "PING\r\n", "*1\r\n$1\r\nab"]
    {
        assert_eq!(tasks(&(bad.to_owned() + &good)), [], "{bad:?}");
    }
    assert_eq!(tasks(&("*0\r\n".to_owned() + &good)), [TASK]);
}

#[test]
fn what_is_kept_says_the_same_and_nothing_else() {
    let secrets = command(&["AUTH", "default", "password"]) + &command(&["LPUSH", "list", &message(NAME)]);
    let (told, kept) = read(secrets.as_bytes());
    assert_eq!(read(&kept).0, told);
    let text = String::from_utf8(kept).expect("as it was");
    for secret in ["AUTH", "password", "list", "W1si", "app.work", "argsrepr", OTHER, "null", "utf"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains(NAME) && text.contains("LPUSH"), "{text}");
}

/// `pickle.dumps((2, (7, None, fast_trace_task, ("celery_app.work", NAME, {...}, ...), {})))` by protocol 5.
fn job(string: &[u8], id: &str) -> Vec<u8> {
    let start =
        b"\x80\x05\x95$\x01\0\0\0\0\0\0K\x02(K\x07N\x8c\x10celery.app.trace\x94\x8c\x0ffast_trace_task\x94\x93\x94(";
    let name = b"\x8c\x0fcelery_app.work\x94";
    let request = b"\x94}\x94(\x8c\x04lang\x94\x8c\x02py\x94\x8c\x02id\x94h\x04\x8c\x07root_id\x94\x8c$";
    [start, name.as_slice(), string, id.as_bytes(), request, OTHER.as_bytes()].concat()
}

#[test]
fn a_job_names_its_task_first() {
    assert_eq!(task_of_job(&job(b"\x8c$", NAME)), Some(TASK));
    assert_eq!(task_of_job(&job(b"X$\0\0\0", NAME)), Some(TASK));
    let whole = job(b"\x8c$", NAME);
    assert_eq!(task_of_job(&whole[..100]), None, "cut within the name");
    let other = String::from_utf8_lossy(&whole).replace("celery.app.trace", "celery.app.other");
    assert_eq!(task_of_job(other.as_bytes()), None, "a job of somebody else's pool");
    assert_eq!(task_of_job(NAME.as_bytes()), None);
}

#[test]
fn a_masked_job_names_the_same() {
    let mut masked = job(b"\x8c$", NAME);
    mask_job(&mut masked);
    assert_eq!(task_of_job(&masked), Some(TASK));
    let text = String::from_utf8_lossy(&masked);
    assert!(!text.contains("celery_app") && !text.contains(OTHER), "{text}");
    let mut none = b"something else".to_vec();
    mask_job(&mut none);
    assert_eq!(none, b"xxxxxxxxxxxxxx");
}

proptest! {
    /// Commands with anything as values among them, and names around the right one.
    #[test]
    fn every_task_is_found_among_anything(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..4),
        id in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        text in "[ -~]{0,40}",
    ) {
        let argument = |value: &[u8]| [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
        let headers = serde_json::json!({"task": text, "id": id, "argsrepr": text});
        let message = serde_json::json!({"body": text, "headers": headers, "properties": {"id": text}}).to_string();
        let mut bytes = format!("*{}\r\n", values.len() + 1).into_bytes();
        bytes.extend(argument(b"SADD"));
        values.iter().for_each(|value| bytes.extend(argument(value)));
        bytes.extend(command(&["LPUSH", &text, &message]).bytes());
        let (told, kept) = read(&bytes);
        prop_assert_eq!(told.len(), 1);
        prop_assert_eq!(read(&kept), (told, kept.clone()), "masked bytes say the same, and are masked already");
    }

    /// Anything at all is read without harm, and what is kept of it says the same.
    #[test]
    fn any_bytes_may_come(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"*$\r\n15LPUSH{}\":,id".to_vec())], 0..300)) {
        let (told, kept) = read(&bytes);
        prop_assert_eq!(read(&kept), (told, kept.clone()));
        let mut masked = bytes.clone();
        mask_job(&mut masked);
        prop_assert_eq!(task_of_job(&masked), task_of_job(&bytes));
    }

    /// A message that is cut anywhere names its task or none, never another one.
    #[test]
    fn cut_messages_name_no_other(at in 0_usize..700) {
        let text = command(&["LPUSH", "celery", &message(NAME)]);
        let (told, _) = read(&text.as_bytes()[..at.min(text.len())]);
        prop_assert!(told.is_empty() || told == [TASK]);
    }
}
