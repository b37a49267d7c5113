//! The record as its users meet it: read, refused, compared, and read again from the store.

use super::*;

const SAMPLE: &[u8] = include_bytes!("../../../tests/data/breach-lu.yaml");

fn sample() -> Record {
    Record::read("breach-lu.yaml", SAMPLE).unwrap()
}
/// The sample with one piece of its text replaced.
fn changed(from: &str, to: &str) -> Result<Record, ReadError> {
    let text = std::str::from_utf8(SAMPLE).unwrap();
    assert!(text.contains(from), "{from}");
    Record::read("breach.yaml", text.replacen(from, to, 1).as_bytes())
}
fn at(text: &str) -> Time {
    text.parse().unwrap()
}
fn fields(gaps: &[Gap]) -> Vec<&str> {
    gaps.iter().map(|g| g.field).collect()
}

#[test]
fn the_sample_is_read_whole() {
    let r = sample();
    assert_eq!(r.title, "Payroll export sent to the wrong supplier");
    assert_eq!(r.aware(), Some(at("2026-11-18T09:20:00Z")));
    assert_eq!(r.strict_deadline(), Some(at("2026-11-21T09:20:00Z")));
    assert_eq!(r.cause.cyber, YesNo::No);
    assert_eq!(r.protection.encrypted, YesNo::No);
    assert_eq!(r.data.records, Count::exactly(412));
    assert_eq!(r.subjects.persons.to_string(), "about 410 to 412");
    assert_eq!(r.subjects.per_country["LU"], Count::exactly(180));
    assert_eq!(r.subjects.vulnerable, Some(BTreeSet::new()));
    assert_eq!(r.data.special, None);
    assert_eq!(r.measures.planned[0].at.unwrap().to_string(), "2026-12-01");
    assert_eq!(r.blockers(), []);
    assert_eq!(r.gaps(at("2026-11-18T12:00:00Z"), None), []);
    assert!(r.is_complete());
}

#[test]
fn canonical_json_comes_back_as_the_same_record() {
    for record in [sample(), Record::read("t", TEMPLATE.as_bytes()).unwrap()] {
        let value = serde_json::to_value(&record).unwrap();
        assert_eq!(serde_json::from_value::<Record>(value.clone()).unwrap(), record);
        let text = serde_json::to_vec_pretty(&record).unwrap();
        assert_eq!(Record::read("standard input", &text).unwrap(), record);
        assert_eq!(value["regime"], "gdpr_33");
    }
}

#[test]
fn errors_point_at_what_is_wrong() {
    for (from, to, wanted) in [
        (
            "aware_at:",
            "awareat:",
            "breach.yaml:13:3: timeline: unknown field `awareat`; did you mean `aware_at`?",
        ),
        (
            "[confidentiality]",
            "[confidentialty]",
            "breach.yaml:15:10: nature[0]: unknown value `confidentialty`; did you mean `confidentiality`?",
        ),
        (
            "cyber: no",
            "cyber: maybe",
            "breach.yaml:17:55: cause.cyber: expected `yes`, `no` or `unknown`, found string \"maybe\"",
        ),
        (
            "DE: 30 }",
            "DE: 30, DE: 2 }",
            "breach.yaml:28:52: the key `DE` is given twice, first at line 28, column 44; keep one of them",
        ),
        (
            "DE: 30 }",
            "UK: 30 }",
            "breach.yaml:28:48: subjects.per_country.UK: `UK` is no ISO 3166-1 code; did you mean `GB`?",
        ),
        (
            "[LU, FR, BE, DE]",
            "[LU, XX]",
            "breach.yaml:51:25: cross_border.states: not an ISO 3166-1 code of two capital letters, such as LU",
        ),
        (
            "min: 410",
            "min: 413",
            "breach.yaml:27:12: subjects.persons: `min` is larger than `max`",
        ),
        (
            "records: { min: 412, max: 412",
            "records: { min: 1, max: 2",
            "breach.yaml:23:12: data.records: an exact number needs equal `min` and `max`; else write `precision: approximate`",
        ),
        (
            "dpo@brasserie",
            "dpo brasserie",
            "breach.yaml:48:10: contact.email: not an e-mail address such as dpo@example.lu, without a name or brackets",
        ),
        (
            "+352 621 000 111",
            "call me",
            "breach.yaml:49:10: contact.phone: not a telephone number such as +352 621 000 111",
        ),
        (
            "# language: not said here",
            "regime: omnibus_proposal",
            "breach.yaml:9:9: regime: not a regime in force; known: gdpr_33",
        ),
        (
            "# language: not said here",
            "language: French",
            "breach.yaml:9:11: language: not an ISO 639 code in lower case, such as fr",
        ),
        (
            "at: 2026-12-01",
            "at: 2026-13-01",
            "breach.yaml:43:13: measures.planned[0].at: `2026-13-01` is no date and time; write it as 2026-11-18T10:20:00+01:00, or as 2026-11-18 10:20 for local time",
        ),
        (
            "  detected_at:",
            "  occurred_to: 2026-11-16\n  detected_at:",
            "breach.yaml:12:16: timeline.occurred_to: lies before `occurred_from`",
        ),
    ] {
        assert_eq!(changed(from, to).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn single_lines_cannot_carry_a_header() {
    for (from, to) in [
        (
            "title: Payroll export sent to the wrong supplier",
            "title: \"x\\r\\nBcc: a@example.lu\"",
        ),
        ("name: Claire Weber", "name: \"Claire\\nWeber\""),
        ("name: Claire Weber", "name: \"Claire\\u2028Weber\""),
        ("name: Claire Weber", "name: \"Claire\\u202Erebew\""),
        ("sector: hospitality", "sector: \"a\\x1b[31m\""),
        ("address: 12, rue", "address: \"a\\0b\" #"),
    ] {
        let e = changed(from, to).unwrap_err();
        assert!(e.message.contains("one line without control characters"), "{e}");
    }
    let e = changed("hospitality", &"x".repeat(MAX_LINE + 1)).unwrap_err();
    assert!(e.message.ends_with("has 301 characters; at most 300 are taken"), "{e}");
    assert!(changed("hospitality", &"é".repeat(MAX_LINE)).is_ok());
    let e = changed(
        "rationale: High risk; no exemption of Art. 34(3) applies.",
        &format!("rationale: {}", "x".repeat(MAX_TEXT + 1)),
    );
    assert!(e.unwrap_err().message.contains("at most 20000"));
}

#[test]
fn norway_and_no_keep_their_meaning() {
    let r = changed("{ LU: 180,", "{ NO: 180,").unwrap();
    assert_eq!(r.subjects.per_country["NO"], Count::exactly(180));
    let r = changed("[LU, FR, BE, DE]", "[NO]").unwrap();
    assert!(r.cross_border.states.contains("NO"));
    for (written, wanted) in [
        ("no", YesNo::No),
        ("NO", YesNo::No),
        ("false", YesNo::No),
        ("yes", YesNo::Yes),
        ("true", YesNo::Yes),
        ("\"yes\"", YesNo::Yes),
        ("unknown", YesNo::Unknown),
        ("", YesNo::Unknown),
    ] {
        let r = changed("cyber: no", &format!("cyber: {written}")).unwrap();
        assert_eq!(r.cause.cyber, wanted, "{written}");
    }
}

#[test]
fn counts_as_people_write_them() {
    let count =
        |text: &str| changed("{ min: 410, max: 412, precision: approximate }", text).map(|r| r.subjects.persons);
    for (written, shown) in [
        ("410", "410"),
        ("unknown", "unknown"),
        ("", "unknown"),
        ("{}", "unknown"),
        ("{ min: 100 }", "at least 100"),
        ("{ max: 100 }", "at most 100"),
        ("{ min: 5, max: 9 }", "about 5 to 9"),
        ("{ min: 7, max: 7, precision: exact }", "7"),
        ("{ precision: unknown }", "unknown"),
    ] {
        assert_eq!(count(written).unwrap().to_string(), shown, "{written}");
    }
    for refused in [
        "-1",
        "4.5",
        "many",
        "{ min: -1 }",
        "{ min: 1, precision: unknown }",
        "{ precision: exact }",
        "[1]",
        "9999999999999",
    ] {
        let e = count(refused).unwrap_err();
        assert!(
            e.line == 27 && e.message.starts_with("subjects.persons"),
            "{refused}: {e}"
        );
    }
}

#[test]
fn local_times_need_a_zone_and_a_single_reading() {
    let given = "aware_at: 2026-11-18T10:20:00+01:00";
    let local = |time: &str| changed(given, &format!("aware_at: {time}\n  input_tz: Europe/Luxembourg"));
    let r = local("2026-11-18 10:20").unwrap();
    assert_eq!(r.aware(), Some(at("2026-11-18T09:20:00Z")));
    assert_eq!(r.timeline.aware_at.unwrap().to_string(), "2026-11-18T10:20:00+01:00");
    // The zone may stand after the times it is for, and serves the whole record.
    let planned = SAMPLE.to_vec();
    let planned = String::from_utf8(planned)
        .unwrap()
        .replace("at: 2026-12-01", "at: 2026-12-01T08:00");
    let e = Record::read("breach.yaml", planned.as_bytes()).unwrap_err();
    assert!(
        e.to_string()
            .starts_with("breach.yaml:43:13: measures.planned[0].at: the time has no offset"),
        "{e}"
    );
    let planned = planned.replace("  aware_at:", "  input_tz: Europe/Luxembourg\n  aware_at:");
    let r = Record::read("breach.yaml", planned.as_bytes()).unwrap();
    assert_eq!(
        r.measures.planned[0].at.unwrap().to_string(),
        "2026-12-01T08:00:00+01:00"
    );

    let e = local("2026-03-29T02:30").unwrap_err();
    assert!(
        e.message.contains("did not exist in Europe/Luxembourg") && e.line == 13,
        "{e}"
    );
    let e = local("2026-10-25T02:30").unwrap_err();
    assert!(
        e.message
            .ends_with("write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
        "{e}"
    );
    let e = changed(given, "aware_at: 2026-11-18T10:20").unwrap_err();
    assert!(e.message.contains("`timeline.input_tz`"), "{e}");
    let e = changed(given, "aware_at: 2026-11-18").unwrap_err();
    assert!(e.message.contains("lacks the time of day"), "{e}");
    // The store's reader makes the same checks.
    let mut value = serde_json::to_value(sample()).unwrap();
    value["timeline"]["aware_at"] = "2026-11-18T10:20".into();
    assert!(serde_json::from_value::<Record>(value).is_err());
}

#[test]
fn the_four_blockers_and_nothing_else_stop_a_notice() {
    let empty = Record::read("standard input", b"title: x").unwrap();
    let four = ["contact", "nature", "consequences.text", "measures"];
    assert_eq!(fields(&empty.blockers()), four);
    let articles: Vec<&str> = empty.blockers().iter().map(|g| g.article).collect();
    assert_eq!(
        articles,
        [
            "GDPR Art. 33(3)(b)",
            "GDPR Art. 33(3)(a)",
            "GDPR Art. 33(3)(c)",
            "GDPR Art. 33(3)(d)"
        ]
    );
    for (text, blocked) in [
        ("contact: { phone: +352 1234 }", "contact"),
        ("contact: { email: a@example.lu }", "contact"),
        ("nature: [availability]", "nature"),
        ("consequences: { text: under investigation }", "consequences.text"),
        ("measures: { mitigation: under investigation }", "measures"),
        ("measures: { planned: [{ text: x }] }", "measures"),
    ] {
        let r = Record::read("standard input", format!("title: x\n{text}").as_bytes()).unwrap();
        let left: Vec<&str> = four.into_iter().filter(|f| *f != blocked).collect();
        assert_eq!(fields(&r.blockers()), left, "{text}");
    }
    let nameless = Record::read(
        "standard input",
        b"title: x\ncontact: { kind: dpo, name: Claire Weber }",
    )
    .unwrap();
    assert!(fields(&nameless.blockers()).contains(&"contact"));
}

#[test]
fn gaps_name_what_is_missing_and_never_more() {
    let now = at("2026-11-18T12:00:00Z");
    for (from, to, field) in [
        ("  aware_at: 2026-11-18T10:20:00+01:00\n", "", "timeline.aware_at"),
        (
            "  records: { min: 412, max: 412, precision: exact }\n",
            "",
            "data.records",
        ),
        (
            "{ min: 410, max: 412, precision: approximate }",
            "unknown",
            "subjects.persons",
        ),
        ("[employee]", "[unknown]", "subjects.categories"),
        (
            "[basic_identity, contact, national_id, financial, employment]",
            "[]",
            "data.categories",
        ),
        ("  name: Brasserie du Kirchberg S.A.\n", "", "controller.name"),
        ("  name: Claire Weber\n", "", "contact.name"),
        ("level: high_risk", "level: undetermined", "risk.level"),
        ("decision: required", "decision: pending", "communication.decision"),
        (
            "decision: required",
            "decision: not_required",
            "communication.exemption",
        ),
        (
            "decision: required",
            "decision: public, exemption: a_protected",
            "communication.exemption",
        ),
        (
            "detected_at: 2026-11-18T08:55",
            "detected_at: 2026-11-18T10:55",
            "timeline.aware_at",
        ),
        (
            "aware_at: 2026-11-18T10:20",
            "aware_at: 2026-11-19T10:20",
            "timeline.aware_at",
        ),
        (
            "  aware_basis",
            "  processor_told_at: 2026-11-18T10:00:00+01:00\n  aware_basis",
            "timeline.aware_at",
        ),
        ("LU: 180", "LU: 181", "subjects.per_country"),
    ] {
        let r = changed(from, to).unwrap();
        assert_eq!(fields(&r.gaps(now, None)), [field], "{from} -> {to}");
        assert_eq!(r.blockers(), [], "{from} -> {to}");
    }
    let unlikely = changed("level: high_risk\n  rationale", "level: unlikely\n  method").unwrap();
    assert_eq!(fields(&unlikely.gaps(now, None)), ["risk.rationale"]);
}

#[test]
fn lateness_begins_after_the_last_instant_of_the_72_hours() {
    let end = sample().strict_deadline().unwrap();
    let late = end + chrono::TimeDelta::milliseconds(1);
    assert_eq!(sample().gaps(end, None), []);
    let gaps = sample().gaps(late, None);
    assert_eq!(fields(&gaps), ["delay_reasons"]);
    assert_eq!(gaps[0].article, "GDPR Art. 33(1)");
    // An update after a notice in time is not late; one after a late notice still lacks the reasons.
    assert_eq!(sample().gaps(late, Some(end)), []);
    assert_eq!(
        fields(&sample().gaps(late + chrono::TimeDelta::days(9), Some(late))),
        ["delay_reasons"]
    );
    let with_reasons = changed(
        "communication:",
        "delay_reasons: The office was flooded.\ncommunication:",
    )
    .unwrap();
    assert_eq!(with_reasons.gaps(late, None), []);
}

#[test]
fn what_is_under_investigation_goes_out_but_is_not_complete() {
    for language in ["en", "fr", "de", "lb", "fr-LU"] {
        let texts = under_investigation(language);
        let mut r = sample();
        r.consequences.text = Some(texts.consequences.to_owned());
        assert_eq!(r.blockers(), []);
        assert_eq!(fields(&r.missing()), ["consequences.text"], "{language}");
        r.measures = Measures {
            mitigation: Some(texts.measures.to_owned()),
            ..Measures::default()
        };
        assert_eq!(fields(&r.missing()), ["consequences.text", "measures"], "{language}");
        assert!(!r.is_complete());
    }
    assert_ne!(under_investigation("fr"), under_investigation("de"));
}

#[test]
fn the_processors_message_starts_the_clock_where_awareness_is_not_given() {
    let text = b"title: x\ntimeline:\n  processor_aware_at: 2026-11-16T08:00:00+01:00\n  processor_told_at: 2026-11-18T11:20:00+01:00";
    let r = Record::read("standard input", text).unwrap();
    assert_eq!(r.strict_deadline(), Some(at("2026-11-21T10:20:00Z")));
}

#[test]
fn the_template_is_a_record_and_names_every_word() {
    let r = Record::read("template", TEMPLATE.as_bytes()).unwrap();
    assert_eq!(r.blockers().len(), 4);
    let names = |words: &[&str]| words.iter().for_each(|w| assert!(TEMPLATE.contains(w), "{w}"));
    names(&IncidentKind::ALL.iter().map(|w| w.name()).collect::<Vec<_>>());
    names(&DataCategory::ALL.iter().map(|w| w.name()).collect::<Vec<_>>());
    names(&SpecialCategory::ALL.iter().map(|w| w.name()).collect::<Vec<_>>());
    names(&SubjectCategory::ALL.iter().map(|w| w.name()).collect::<Vec<_>>());
    names(&VulnerableGroup::ALL.iter().map(|w| w.name()).collect::<Vec<_>>());
    names(&Harm::ALL.iter().map(|w| w.name()).collect::<Vec<_>>());
    names(&Exemption::ALL.iter().map(|w| w.name()).collect::<Vec<_>>());
    // Every field of the canonical record can be found in it.
    fn keys(value: &serde_json::Value, found: &mut Vec<String>) {
        if let serde_json::Value::Object(map) = value {
            for (key, value) in map {
                found.push(key.clone());
                keys(value, found);
            }
        }
    }
    let mut found = Vec::new();
    keys(&serde_json::to_value(&r).unwrap(), &mut found);
    found.retain(|key| !["id", "min", "max", "precision"].contains(&key.as_str()));
    for key in found {
        assert!(TEMPLATE.contains(&format!("{key}:")), "{key}");
    }
}
