//! The store as a thing that can be copied.

use breachpost::model::campaign::CampaignState;
use breachpost::store::{Campaigns, Copied, Custody, Outbox, Store};

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, claim, done, file_notice, intact, person, run_campaign,
    state, worker,
};

pub async fn a_copy_sends_nothing_by_itself(bed: &impl Bed) {
    let store = bed.open();
    let notice = file_notice(&store).await;
    run_campaign(&store, 3).await;
    assert_eq!(
        store.settle_identity(&anna(), at(1)).await.unwrap(),
        None,
        "a new store"
    );
    assert_eq!(bed.open().settle_identity(&anna(), at(2)).await.unwrap(), None);

    let copy = bed.copied(&store).await;
    let copied = Copied {
        campaigns_paused: 1,
        notices_held: 1,
    };
    assert_eq!(copy.settle_identity(&anna(), at(3)).await.unwrap(), Some(copied));
    assert_eq!(copy.settle_identity(&anna(), at(4)).await.unwrap(), None, "once");
    assert!(claim(&copy, worker(1), 9, at(5)).await.is_empty());
    assert_eq!(state(&copy, notice).await, "held");
    intact(&copy).await;
    // The original goes on.
    assert_eq!(store.settle_identity(&anna(), at(3)).await.unwrap(), None);
    assert_eq!(claim(&store, worker(1), 9, at(5)).await.len(), 4);
    copy.retry_now(notice, &anna(), at(6)).await.unwrap();
    assert_eq!(claim(&copy, worker(1), 9, at(7)).await.len(), 1);
}

/// What a worker does: it signs on, marks all as on the wire, and dies or not.
async fn send_all(store: &impl Store, now: i64) -> usize {
    store.settle_identity(&anna(), at(now)).await.unwrap();
    let claims = claim(store, worker(1), 99, at(now)).await;
    store.step(Vec::new(), claims.clone(), at(now)).await.unwrap();
    store
        .step(
            claims.iter().map(|claim| done(claim, accepted())).collect(),
            Vec::new(),
            at(now),
        )
        .await
        .unwrap();
    claims.len()
}

pub async fn a_copy_put_back_over_its_own_file_sends_nothing_by_itself(bed: &impl Bed) {
    let store = bed.open();
    store.settle_identity(&anna(), at(0)).await.unwrap();
    let running = run_campaign(&store, 3).await;
    let breach = add_breach(&store).await;
    let approved = add_campaign(&store, breach, (3..5).map(person).collect()).await;
    approve(&store, approved).await;
    let stopped = run_campaign(&store, 1).await;
    store.pause(stopped, "asked", &anna(), at(0)).await.unwrap();
    let draft = add_campaign(&store, breach, vec![person(9)]).await;
    drop(bed.copied(&store).await);

    store.start(approved, &anna(), at(1)).await.unwrap();
    assert_eq!(send_all(&store, 2).await, 5);
    // Whoever is quick to write to the store that was put back makes its journal as long, and not the same.
    drop(store);
    let store = bed.put_back();
    for _ in 0..9 {
        add_breach(&store).await;
    }
    drop(store);
    let store = bed.open();
    let copied = Copied {
        campaigns_paused: 3,
        notices_held: 0,
    };
    assert_eq!(store.settle_identity(&anna(), at(3)).await.unwrap(), Some(copied));
    assert_eq!(store.settle_identity(&anna(), at(4)).await.unwrap(), None, "once");
    assert_eq!(send_all(&store, 5).await, 0);
    for campaign in [running, approved, stopped] {
        let found = store.find_campaign(campaign).await.unwrap().unwrap();
        let CampaignState::Paused { why, .. } = found.state else {
            panic!("{campaign} is {:?}", found.state);
        };
        assert!(why.contains("was restored"), "{why}");
        assert_eq!(campaign == stopped, why.contains("asked"), "{why}");
        // Cancelled, it would have told nobody more; going on, it may tell everybody again.
        assert_eq!(store.tally(campaign).await.unwrap().possibly_twice, 0);
        store.resume(campaign, &anna(), at(6)).await.unwrap();
        let tally = store.tally(campaign).await.unwrap();
        assert_eq!(tally.possibly_twice, tally.ready, "{tally:?}");
        let found = store.find_campaign(campaign).await.unwrap().unwrap();
        assert!(found.started_at.is_some() && found.started_by.is_some(), "{found:?}");
    }
    let found = store.find_campaign(draft).await.unwrap().unwrap();
    assert_eq!(found.state, CampaignState::Draft, "nobody has agreed to it yet");
    assert_eq!(send_all(&store, 7).await, 6);
    drop(store);
    let store = bed.open();
    assert_eq!(store.settle_identity(&anna(), at(8)).await.unwrap(), None);
    intact(&store).await;
}

pub async fn a_store_that_goes_on_is_no_copy(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 3).await;
    assert_eq!(send_all(&store, 1).await, 3);
    // Several write at the same time, one is ended in whatever way, and one is older than the other's last entry.
    let other = bed.open();
    add_breach(&other).await;
    add_breach(&store).await;
    add_breach(&other).await;
    assert_eq!(store.settle_identity(&anna(), at(2)).await.unwrap(), None);
    drop((store, other));
    assert_eq!(bed.open().settle_identity(&anna(), at(3)).await.unwrap(), None);
}

/// Two programs meet a store that nobody has used yet, at the same moment: neither takes it for a copy.
pub async fn whoever_is_second_takes_no_new_store_for_a_copy<B: Bed>(_: &B) {
    for _ in 0..40 {
        let bed = B::new();
        let (one, other) = (bed.open(), bed.open());
        let notice = file_notice(&one).await;
        let ask = async |store: &B::Store| store.settle_identity(&anna(), at(1)).await.unwrap();
        assert_eq!(tokio::join!(ask(&one), ask(&other)), (None, None));
        assert_eq!(state(&one, notice).await, "ready");
    }
}

/// The copy was made before anything was sent, and before the store was asked whose it is.
pub async fn an_early_copy_put_back_sends_nothing_by_itself(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 3).await;
    drop(bed.copied(&store).await);
    assert_eq!(send_all(&store, 1).await, 3);
    drop(store);

    let store = bed.put_back();
    let copied = Copied {
        campaigns_paused: 1,
        notices_held: 0,
    };
    assert_eq!(store.settle_identity(&anna(), at(2)).await.unwrap(), Some(copied));
    assert_eq!(store.settle_identity(&anna(), at(3)).await.unwrap(), None, "once");
}
