//! What is taken, what is refused, and that each refusal says where.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Doc {
    #[serde(default)]
    aware_at: Option<String>,
    #[serde(default)]
    size: Option<u32>,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    inner: Option<Inner>,
    #[serde(default)]
    list: Vec<Inner>,
}
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    text: String,
}
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Supervisory,
    Controller,
}
type Free = BTreeMap<String, serde_json::Value>;

fn said<T: std::fmt::Debug + DeserializeOwned>(origin: &str, text: &str) -> String {
    yaml_or_json::<T>(origin, text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn yaml_errors_name_place_path_and_nearest_name() {
    for (text, wanted) in [
        (
            "size: 1\n\nawareat: x",
            "f.yaml:3:1: unknown field `awareat`; did you mean `aware_at`?",
        ),
        (
            "inner:\n  txt: x",
            "f.yaml:2:3: inner: unknown field `txt`; did you mean `text`?",
        ),
        (
            "zzz: 1",
            "f.yaml:1:1: unknown field `zzz`; known here: aware_at, size, kind, inner, list",
        ),
        (
            "kind: supervisor",
            "f.yaml:1:7: kind: unknown value `supervisor`; did you mean `supervisory`?",
        ),
        (
            "kind: xx",
            "f.yaml:1:7: kind: unknown value `xx`; known here: supervisory, controller",
        ),
        (
            "size: -1",
            "f.yaml:1:7: size: expected a whole number, 0 or more, found integer `-1`",
        ),
        (
            "inner: [1]",
            "f.yaml:1:8: inner: expected a mapping of fields, found a list",
        ),
        (
            "list:\n- text: a\n- texts: b",
            "f.yaml:3:3: list[1]: unknown field `texts`; did you mean `text`?",
        ),
        ("- 1", "f.yaml:1:1: expected a mapping of fields, found a list"),
        (
            "a: [}",
            "f.yaml:1:5: not valid YAML: while parsing a node, did not find expected node content",
        ),
    ] {
        assert_eq!(said::<Doc>("f.yaml", text), wanted, "{text}");
    }
}

#[test]
fn json_errors_name_them_too() {
    for (text, wanted) in [
        (
            "{\"size\": 1,\n  \"awareat\": \"x\"}",
            "standard input:2:3: unknown field `awareat`; did you mean `aware_at`?",
        ),
        (
            "{\"inner\": {\"txt\": 1}}",
            "standard input:1:12: inner: unknown field `txt`; did you mean `text`?",
        ),
        (
            "{\"kind\": \"supervisor\"}",
            "standard input:1:10: kind: unknown value `supervisor`; did you mean `supervisory`?",
        ),
        (
            "{\"aware_at\": \"é\", \"size\": true}",
            "standard input:1:27: size: expected a whole number, 0 or more, found boolean `true`",
        ),
        (
            "{\"list\": [{\"text\": \"a\"}, {}]}",
            "standard input:1:28: missing field `text`",
        ),
        (
            "{\"size\": 1",
            "standard input:1:10: not valid JSON: EOF while parsing an object",
        ),
    ] {
        assert_eq!(said::<Doc>("standard input", text), wanted, "{text}");
    }
}

#[test]
fn the_second_of_two_equal_keys_is_refused_with_both_places() {
    for (origin, text, wanted) in [
        (
            "a.yaml",
            "a: 1\nb: 2\na: 3",
            "a.yaml:3:1: the key `a` is given twice, first at line 1, column 1; keep one of them",
        ),
        (
            "a.yaml",
            "a: {b: 1, \"b\": 2}",
            "a.yaml:1:11: the key `b` is given twice, first at line 1, column 5; keep one of them",
        ),
        (
            "a.json",
            "{\"a\": 1, \"a\": 2}",
            "a.json:1:10: the key `a` is given twice, first at line 1, column 2; keep one of them",
        ),
        (
            "a.json",
            "{\"é\": {\"x\": 1,\n\"\\u0078\": 2}}",
            "a.json:2:1: the key `x` is given twice, first at line 1, column 8; keep one of them",
        ),
    ] {
        assert_eq!(said::<Free>(origin, text), wanted);
    }
    // Equal keys in different mappings are not twice the same.
    assert!(yaml::<Free>("a.yaml", b"a: {c: 1}\nb: {c: 1}\nl: [{c: 1}, {c: 1}]").is_ok());
    assert!(
        json::<Free>(
            "a.json",
            br#"{"a": {"c": 1}, "b": {"c": 1}, "l": [{"c": "a"}, {"c": "a"}]}"#
        )
        .is_ok()
    );
}

#[test]
fn what_yaml_can_do_and_no_record_needs_is_refused() {
    for (text, wanted) in [
        ("a: &x 1", "f.yaml:1:4: anchors"),
        ("a: &x [1]", "f.yaml:1:4: anchors"),
        ("a: *x", "f.yaml:1:4: aliases"),
        ("a: !!str 1", "f.yaml:1:4: tags"),
        ("a: !x {b: 1}", "f.yaml:1:4: tags"),
        ("a: 1\n---\nb: 1", "f.yaml:2:1: a second document"),
        ("? [a]\n: 1", "f.yaml:1:3: a list or mapping cannot be a key"),
    ] {
        let said = said::<Free>("f.yaml", text);
        assert!(said.starts_with(wanted), "{text}: {said}");
    }
    // One document with its marker is no second one.
    assert!(yaml::<Free>("f.yaml", b"---\na: 1\n...\n").is_ok());
}

#[test]
fn depth_and_size_end_at_their_limits() {
    let nested = |open: &str, close: &str, levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    let fits = |origin: &str, text: String| yaml_or_json::<serde_json::Value>(origin, text.as_bytes()).is_ok();
    for (origin, open, close) in [
        ("f.yaml", "[", "]"),
        ("f.yaml", "{a: ", "}"),
        ("f.json", "[", "]"),
        ("f.json", "{\"a\":", "}"),
    ] {
        assert!(fits(origin, nested(open, close, MAX_DEPTH)), "{origin} {open}");
        assert!(!fits(origin, nested(open, close, MAX_DEPTH + 1)), "{origin} {open}");
        let bottomless = said::<serde_json::Value>(origin, &open.repeat(100_000));
        assert!(bottomless.ends_with("nested deeper than 32 levels"), "{bottomless}");
    }
    let text = |bytes: usize| format!("a: {}", "x".repeat(bytes - 3));
    assert!(fits("f.yaml", text(MAX_BYTES)));
    assert_eq!(
        said::<Free>("f.yaml", &text(MAX_BYTES + 1)),
        "f.yaml: longer than the 1024 KiB that are read here"
    );
}

#[test]
fn texts_are_utf_8_with_or_without_a_mark() {
    assert_eq!(yaml::<Free>("f.yaml", b"\xEF\xBB\xBFa: b").unwrap()["a"], "b");
    assert_eq!(
        yaml_or_json::<Free>("standard input", b"\xEF\xBB\xBF {\"a\": \"b\"}").unwrap()["a"],
        "b"
    );
    let e = yaml::<Free>("f.yaml", b"a: b\nc: \xff").unwrap_err();
    assert_eq!((e.line, e.column), (2, 4));
    assert_eq!(
        said::<Free>("standard input", " \n"),
        "standard input: empty; there is nothing to read"
    );
}

#[test]
fn norway_is_not_false() {
    let read: BTreeMap<String, String> = yaml("f.yaml", b"NO: no\nno: NO\nyes: off").unwrap();
    assert_eq!(
        (read["NO"].as_str(), read["no"].as_str(), read["yes"].as_str()),
        ("no", "NO", "off")
    );
}

#[test]
fn json_that_is_no_yaml_is_read() {
    let read: Free = yaml_or_json("standard input", b"{\t\"a\":\"\\ud83d\\ude00\\/\",\"b\":{}}").unwrap();
    assert_eq!(read["a"], "\u{1F600}/");
}

#[test]
fn errors_stay_short_and_carry_no_control_characters() {
    let key = "k\u{7}".repeat(50_000);
    let said = said::<Doc>("f.json", &serde_json::json!({ key: 1 }).to_string());
    assert!(said.len() < 400 && !said.chars().any(char::is_control), "{said}");
}

#[test]
fn places_point_at_values_and_fall_back_to_what_is_around() {
    let text = "a:\n  - b: 1\n  - b: 2\nc.d: 3\n";
    let (_, places) = yaml_or_json_with_places::<Free>("f.yaml", text.as_bytes()).unwrap();
    let at = |path: &str| (places.find(path).line, places.find(path).column);
    assert_eq!(at("a[1].b"), (3, 8));
    assert_eq!(at("a[1].missing.deeper"), (3, 5));
    assert_eq!(at("c.d"), (4, 6));
    assert_eq!(at("nowhere"), (1, 1));
}

proptest::proptest! {
    #[test]
    fn any_bytes_end_in_a_value_or_an_error(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = yaml::<Free>("f.yaml", &bytes);
        let _ = json::<Free>("f.json", &bytes);
    }
    #[test]
    fn so_do_texts_made_of_what_matters(text in "[\\[\\]{}:,\\-?&*!|>'\"#%@`ab0é \\\\\n\t]{0,60}") {
        let _ = yaml::<Free>("f.yaml", text.as_bytes());
        let _ = json::<Free>("f.json", text.as_bytes());
    }
    #[test]
    fn whatever_json_was_written_is_read_back(map in proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..6)) {
        let text = serde_json::to_vec_pretty(&map).unwrap();
        proptest::prop_assert_eq!(json::<BTreeMap<String, String>>("f.json", &text).unwrap(), map);
    }
}
