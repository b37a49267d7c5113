//! Persons who wait for another try, and somebody who knows that it will go better now.

use breachpost::model::delivery::{DeliveryState, Fault, FaultCause, Outcome, SmtpReply, SmtpStep};
use breachpost::model::id::DeliveryId;
use breachpost::store::{Campaigns, Journal, Outbox};

use crate::bed::{
    Bed, accepted, anna, at, claim, conflict, deferred, done, file_notice, in_doubt, intact, outcomes, run_campaign,
    state, worker,
};

pub async fn whoever_waits_is_hurried_and_nobody_else(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 7).await;
    run_campaign(&store, 1).await;
    let waiting = file_notice(&store).await;
    // A notice, the seven and the other campaign's one: two of the seven are put off.
    let claims = claim(&store, worker(1), 9, at(0)).await;
    let [late, late_too, doubtful, told, carried, claimed, untried] = [1, 2, 3, 4, 5, 6, 7].map(DeliveryId::new);
    let of = |id| claims.iter().find(|claim| claim.delivery == id).unwrap().clone();
    let other_one = DeliveryId::new(8);
    let on_wire: Vec<_> = [waiting, late, late_too, doubtful, told, carried, other_one]
        .map(of)
        .into();
    assert_eq!(store.step(vec![], on_wire, at(0)).await.unwrap(), []);
    let results = [
        (waiting, deferred()),
        (late, deferred()),
        (late_too, deferred()),
        (doubtful, in_doubt()),
        (told, accepted()),
        (other_one, deferred()),
    ];
    let results = results.map(|(id, outcome)| done(&of(id), outcome));
    store.step(results.into(), vec![], at(0)).await.unwrap();
    store.release(vec![of(untried)], at(0)).await.unwrap();

    assert_eq!(store.hurry(campaign, &anna(), at(1)).await.unwrap(), 2);
    let again = claim(&store, worker(2), 9, at(1)).await;
    let mut ids: Vec<_> = again.iter().map(|claim| claim.delivery).collect();
    ids.sort();
    assert_eq!(
        ids,
        [late, late_too, untried],
        "and not before their time: {waiting}, {other_one}"
    );
    assert_eq!(again.iter().find(|claim| claim.delivery == late).unwrap().attempt, 2);
    assert_eq!(outcomes(&store, late).await, ["deferred"], "what was is kept");
    // What may have left, and what somebody carries, waits for its own end.
    let found = store.find_delivery(doubtful).await.unwrap().unwrap();
    assert!(
        matches!(found.state, DeliveryState::InDoubt { next: Some(next), .. } if next > at(1)),
        "{found:?}"
    );
    assert_eq!(
        (
            state(&store, carried).await,
            state(&store, claimed).await,
            state(&store, told).await
        ),
        ("on_wire", "leased", "handed")
    );
    // Nobody waits any more.
    assert_eq!(store.hurry(campaign, &anna(), at(1)).await.unwrap(), 0);
    let entries = store.list_journal(0, 1_000).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.event == "campaign.retried")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0].details["deliveries"], &told[0].actor),
        (&2.into(), &anna().to_string())
    );
    intact(&store).await;
}

pub async fn only_a_campaign_that_runs_is_hurried(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    let claims = claim(&store, worker(1), 9, at(0)).await;
    store
        .step(vec![done(&claims[0], deferred())], vec![], at(0))
        .await
        .unwrap();
    store
        .pause(campaign, "the number is wrong", &anna(), at(1))
        .await
        .unwrap();
    conflict(store.hurry(campaign, &anna(), at(1)).await);
    store.resume(campaign, &anna(), at(2)).await.unwrap();
    assert_eq!(claim(&store, worker(1), 9, at(3)).await.len(), 0, "it still waits");
    assert_eq!(store.hurry(campaign, &anna(), at(3)).await.unwrap(), 1);
    assert_eq!(claim(&store, worker(1), 9, at(3)).await.len(), 1);
    store.cancel(campaign, &anna(), at(4)).await.unwrap();
    conflict(store.hurry(campaign, &anna(), at(4)).await);
    intact(&store).await;
}

pub async fn a_slow_domain_is_asked_again_by_one_message(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 3).await;
    let claims = claim(&store, worker(1), 9, at(0)).await;
    assert_eq!(store.step(vec![], vec![claims[0].clone()], at(0)).await.unwrap(), []);
    let busy = Outcome::Deferred {
        fault: Fault {
            step: SmtpStep::Rcpt,
            cause: FaultCause::Reply(SmtpReply {
                code: 450,
                enhanced: Some("4.7.1".into()),
                text: "later".into(),
            }),
        },
    };
    store.step(vec![done(&claims[0], busy)], vec![], at(0)).await.unwrap();
    store.release(claims[1..].to_vec(), at(0)).await.unwrap();
    assert_eq!(
        claim(&store, worker(1), 9, at(1)).await.len(),
        0,
        "their domain is slow"
    );
    assert_eq!(store.hurry(campaign, &anna(), at(1)).await.unwrap(), 1);
    assert_eq!(claim(&store, worker(1), 9, at(1)).await.len(), 1);
    // While that one is under way, hurrying once more sends no second.
    assert_eq!(store.hurry(campaign, &anna(), at(2)).await.unwrap(), 0);
    assert_eq!(claim(&store, worker(1), 9, at(2)).await.len(), 0);
    intact(&store).await;
}
