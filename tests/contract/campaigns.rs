//! Campaigns and their persons.

use breachpost::model::delivery::Outcome;
use breachpost::store::{Campaigns, Outbox, Tally};
use serde_json::json;

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, claim, done, in_doubt, intact, person, put_on_wire,
    refusal, run_campaign, worker,
};

pub async fn nobody_is_due_before_the_start(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = add_campaign(&store, breach, vec![person(1), person(2)]).await;
    assert!(claim(&store, worker(1), 9, at(999)).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(
        store.tally(campaign).await.unwrap(),
        Tally {
            ready: 2,
            ..Tally::default()
        }
    );

    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(2)).await.unwrap();
    store.start(campaign, &anna(), at(3)).await.unwrap();
    assert_eq!(claim(&store, worker(1), 9, at(4)).await.len(), 2);
    let found = store.find_campaign(campaign).await.unwrap().unwrap();
    assert_eq!(
        (found.state.name(), found.breach, found.content.clone()),
        ("running", breach, json!({}))
    );
    assert_eq!(store.list_campaigns().await.unwrap(), [found]);
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
