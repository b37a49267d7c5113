//! The register of breaches.

use breachpost::model::id::BreachId;
use breachpost::store::{ListTarget, Lists, Notices, Register, StoreError};
use serde_json::json;

use crate::bed::{Bed, add_breach, anna, at, intact, list};

pub async fn breaches_are_numbered_within_their_year(bed: &impl Bed) {
    let store = bed.open();
    let mut ids = Vec::new();
    for day in [0, 1, 60, 61] {
        let now = at(day * 86_400);
        ids.push(
            store
                .add_breach(json!({ "day": day }), &anna(), now)
                .await
                .unwrap()
                .to_string(),
        );
    }
    assert_eq!(ids, ["B-2026-001", "B-2026-002", "B-2027-001", "B-2027-002"]);
    let newest_first: Vec<_> = store
        .list_breaches()
        .await
        .unwrap()
        .into_iter()
        .map(|b| b.id.to_string())
        .collect();
    assert_eq!(newest_first, ["B-2027-002", "B-2027-001", "B-2026-002", "B-2026-001"]);
    intact(&store).await;
}

pub async fn racing_openers_never_share_a_number(bed: &impl Bed) {
    let stores = [bed.open(), bed.open()];
    let racers: Vec<_> = (0..40)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move {
                store
                    .add_breach(json!({ "n": n }), &anna(), at(0))
                    .await
                    .unwrap()
                    .number
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for racer in racers {
        numbers.push(racer.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<u32>>());
    intact(&stores[0]).await;
}

pub async fn each_version_of_a_record_counts(bed: &impl Bed) {
    let store = bed.open();
    let id = add_breach(&store).await;
    let record = json!({ "title": "lost laptop", "persons": 12 });
    store
        .update_breach(id, record.clone(), "breach.updated", &anna(), at(5))
        .await
        .unwrap();
    let breach = store.find_breach(id).await.unwrap().unwrap();
    assert_eq!((breach.version, breach.record), (2, record));
    assert_eq!(
        (breach.opened_at, breach.updated_at, breach.opened_by),
        (at(0), at(5), anna())
    );
    intact(&store).await;
}

pub async fn the_timeline_is_in_order(bed: &impl Bed) {
    let store = bed.open();
    let id = add_breach(&store).await;
    store
        .log(id, "call", "called the processor", &anna(), at(20))
        .await
        .unwrap();
    store
        .update_breach(id, json!({}), "breach.decided", &anna(), at(10))
        .await
        .unwrap();
    let timeline = store.timeline(id).await.unwrap();
    let lines: Vec<_> = timeline
        .iter()
        .map(|l| (l.kind.as_str(), l.text.as_str(), l.at))
        .collect();
    let wanted = [
        ("opened", "", at(0)),
        ("decided", "record version 2", at(10)),
        ("call", "called the processor", at(20)),
    ];
    assert_eq!(lines, wanted);
    intact(&store).await;
}

pub async fn a_breach_that_is_not_there_is_named(bed: &impl Bed) {
    let store = bed.open();
    let id = BreachId { year: 2026, number: 9 };
    assert_eq!(store.find_breach(id).await.unwrap(), None);
    let content = json!({});
    let campaign = list(ListTarget::Fresh { breach: id, content }, 'a', 1);
    let errors = [
        store.log(id, "note", "x", &anna(), at(0)).await.unwrap_err(),
        store
            .update_breach(id, json!({}), "breach.updated", &anna(), at(0))
            .await
            .unwrap_err(),
        store
            .file_notice(crate::bed::notice(id, 1), &anna(), at(0))
            .await
            .unwrap_err(),
        store.begin_list(campaign, &anna(), at(0)).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
        assert_eq!(error.to_string(), "there is no breach B-2026-009");
    }
    intact(&store).await;
}
