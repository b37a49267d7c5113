//! Campaigns and their persons.

use breachpost::model::delivery::Outcome;
use breachpost::store::{Campaigns, Outbox, StoreError, Tally};
use serde_json::json;

use crate::bed::{
    Bed, accepted, add_breach, anna, at, claim, done, in_doubt, intact, person, put_on_wire, refusal, run_campaign,
    worker,
};

pub async fn nobody_is_due_before_the_start(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let content = json!({ "template": "individual", "facts": { "b": 1, "a": 2 } });
    let campaign = store
        .add_campaign(breach, content.clone(), &anna(), at(0))
        .await
        .unwrap();
    store
        .add_persons(campaign, vec![person(1), person(2)], &anna(), at(1))
        .await
        .unwrap();
    assert!(claim(&store, worker(1), 9, at(999)).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(
        store.tally(campaign).await.unwrap(),
        Tally {
            ready: 2,
            ..Tally::default()
        }
    );

    store.start(campaign, &anna(), at(2)).await.unwrap();
    store.start(campaign, &anna(), at(3)).await.unwrap();
    assert_eq!(claim(&store, worker(1), 9, at(4)).await.len(), 2);
    let found = store.find_campaign(campaign).await.unwrap().unwrap();
    assert_eq!(
        (found.state.as_str(), found.breach, found.content.clone()),
        ("running", breach, content)
    );
    assert_eq!(store.list_campaigns().await.unwrap(), [found]);
    intact(&store).await;
}

pub async fn the_same_person_counts_once(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = store.add_campaign(breach, json!({}), &anna(), at(0)).await.unwrap();
    let added = async |people: &[usize], campaign| {
        let people = people.iter().copied().map(person).collect();
        store.add_persons(campaign, people, &anna(), at(0)).await.unwrap()
    };
    assert_eq!(added(&[1, 2, 1], campaign).await, 2);
    assert_eq!(added(&[2, 3], campaign).await, 1);
    let mut spouse = person(9);
    spouse.address = person(1).address;
    let shared = store.add_persons(campaign, vec![spouse], &anna(), at(0)).await.unwrap();
    assert_eq!(shared, 1, "two persons may share a mailbox");
    let other = store.add_campaign(breach, json!({}), &anna(), at(0)).await.unwrap();
    assert_eq!(
        added(&[1], other).await,
        1,
        "another campaign tells the same person something else"
    );
    assert_eq!(store.tally(campaign).await.unwrap().ready, 4);
    intact(&store).await;
}

pub async fn a_started_campaign_takes_no_more_persons(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    let late = store.add_persons(campaign, vec![person(7)], &anna(), at(9)).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    assert_eq!(store.tally(campaign).await.unwrap().ready, 1);
    intact(&store).await;
}

pub async fn every_person_is_counted_once(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 7).await;
    let outcomes = [accepted(), in_doubt(), Outcome::Refused { fault: refusal() }];
    for outcome in outcomes {
        let sent = put_on_wire(&store, worker(1), at(1)).await;
        store.step(vec![done(&sent, outcome)], vec![], at(1)).await.unwrap();
    }
    put_on_wire(&store, worker(1), at(1)).await;
    claim(&store, worker(1), 1, at(1)).await;
    let wanted = Tally {
        ready: 2,
        leased: 1,
        on_wire: 1,
        in_doubt: 1,
        handed: 1,
        failed: 1,
        possibly_twice: 1,
        ..Tally::default()
    };
    assert_eq!(store.tally(campaign).await.unwrap(), wanted);
    intact(&store).await;
}
