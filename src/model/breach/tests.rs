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
    assert_eq!(r.gaps(at("2026-11-18T12:00:00Z")), []);
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
