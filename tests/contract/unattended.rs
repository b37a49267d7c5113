//! Campaigns that would have no end by themselves.

use breachpost::model::Time;
use breachpost::model::delivery::{DeliveryState, Fault, FaultCause, Outcome, SmtpReply, SmtpStep};
use breachpost::model::id::DeliveryId;
use breachpost::store::{Campaigns, Claim, Done, Lists, Outbox, Store, Tally, Unattended};
use chrono::TimeDelta;

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, claim, deferred, done, in_doubt, intact, list, person,
    retry, run_campaign, worker,
};

fn day(days: f64) -> Time {
    at(0) + TimeDelta::seconds((days * 86_400.0) as i64)
}
/// Five days before.
fn before(now: Time) -> Time {
    now - TimeDelta::days(5)
}
fn says(code: u16, enhanced: &str) -> Outcome {
    let cause = FaultCause::Reply(SmtpReply {
        code,
        enhanced: Some(enhanced.to_owned()),
        text: "later".to_owned(),
    });
    Outcome::Deferred {
        fault: Fault {
            step: SmtpStep::Rcpt,
            cause,
        },
    }
}
/// Claims everybody who is due and stores what `outcome` says of each; those of whom it says nothing are given back.
async fn tried(store: &impl Store, now: Time, outcome: impl Fn(DeliveryId) -> Option<Outcome>) {
    let claims = claim(store, worker(1), 99, now).await;
    let (sent, left): (Vec<Claim>, Vec<Claim>) =
        claims.into_iter().partition(|claim| outcome(claim.delivery).is_some());
    store.step(vec![], sent.clone(), now).await.unwrap();
    let done = |claim: &Claim| Done {
        retry: retry(),
        ..done(claim, outcome(claim.delivery).unwrap())
    };
    store.step(sent.iter().map(done).collect(), vec![], now).await.unwrap();
    store.release(left, now).await.unwrap();
}

/// Each person by their own answers: five days of their server's are enough, our relay's trouble never is.
pub async fn whoever_is_put_off_for_days_is_given_up(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 6).await;
    let [greylisted, unreachable, cut_off, doubtful, late, untried] = [1, 2, 3, 4, 5, 6].map(DeliveryId::new);
    let greylists = || says(450, "4.2.0");
    tried(&store, day(0.0), |id| match id {
        id if id == greylisted || id == cut_off => Some(greylists()),
        id if id == unreachable || id == late => Some(deferred()),
        id if id == doubtful => Some(in_doubt()),
        _ => None,
    })
    .await;
    tried(&store, day(2.0), |id| (id == late).then(greylists)).await;
    for now in [day(4.5), day(4.9)] {
        assert_eq!(store.give_up(campaign, before(now), &anna(), now).await.unwrap(), 0);
        tried(&store, now - TimeDelta::hours(2), |id| match id {
            id if id == greylisted || id == late => Some(greylists()),
            id if id == unreachable || id == cut_off => Some(deferred()),
            id if id == doubtful => Some(in_doubt()),
            _ => None,
        })
        .await;
    }
    let waits = store.unattended(campaign, day(0.5)).await.unwrap();
    let put_off = Unattended {
        held: false,
        put_off: true,
    };
    assert_eq!(waits, put_off);
    assert_eq!(
        store.unattended(campaign, at(-1)).await.unwrap(),
        Unattended::default(),
        "nobody was tried by then"
    );
    let now = day(5.1);
    assert_eq!(store.give_up(campaign, before(now), &anna(), now).await.unwrap(), 2);
    let state = async |id| store.find_delivery(id).await.unwrap().unwrap().state;
    let DeliveryState::Failed { fault, .. } = state(greylisted).await else {
        panic!("{:?}", state(greylisted).await)
    };
    assert_eq!((fault.reason(), fault.step), ("put_off", SmtpStep::Rcpt));
    assert!(matches!(
        state(doubtful).await,
        DeliveryState::InDoubt { next: None, .. }
    ));
    for id in [unreachable, cut_off, late, untried] {
        assert!(matches!(state(id).await, DeliveryState::Ready { .. }), "{id}");
    }
    assert_eq!(store.give_up(campaign, before(now), &anna(), now).await.unwrap(), 0);
    // Its relay back, the server says the same to whom it said so first: that is the end.
    tried(&store, day(6.0), |id| match id {
        id if id == cut_off => Some(greylists()),
        _ => Some(accepted()),
    })
    .await;
    assert_eq!(
        store.give_up(campaign, before(now), &anna(), day(6.0)).await.unwrap(),
        1
    );
    let wanted = Tally {
        handed: 3,
        failed: 2,
        in_doubt: 1,
        possibly_twice: 1,
        ..Tally::default()
    };
    assert_eq!(store.tally(campaign).await.unwrap(), wanted);
    store
        .settle_campaign(campaign, day(9.0), &anna(), day(6.0))
        .await
        .unwrap();
    intact(&store).await;
}

/// What may have reached a person is not said not to have, whatever the server answers later.
pub async fn what_may_have_left_is_given_up_in_doubt(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    tried(&store, day(0.0), |_| Some(in_doubt())).await;
    tried(&store, day(5.5), |_| Some(says(450, "4.2.0"))).await;
    let now = day(5.6);
    assert_eq!(store.give_up(campaign, before(now), &anna(), now).await.unwrap(), 1);
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.in_doubt, tally.ready), (1, 0));
    store.settle_campaign(campaign, day(9.0), &anna(), now).await.unwrap();
    intact(&store).await;
}

pub async fn a_campaign_that_nobody_touches_is_found(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let draft = add_campaign(&store, breach, vec![person(1)]).await;
    let content = serde_json::json!({ "half": true });
    let fresh = breachpost::store::ListTarget::Fresh { breach, content };
    let half = store.begin_list(list(fresh, 'h', 9), &anna(), day(1.0)).await.unwrap();
    let over = add_campaign(&store, breach, vec![person(2)]).await;
    store.cancel(over, &anna(), day(1.0)).await.unwrap();
    let found = async |now| store.list_unattended(now).await.unwrap();
    assert_eq!(found(at(0)).await, []);
    assert_eq!(found(day(0.5)).await, [(draft, at(0))]);
    assert_eq!(found(day(2.0)).await, [(draft, at(0)), (half.campaign, day(1.0))]);
    store.check_off(draft, "phone", None, &anna(), day(3.0)).await.unwrap();
    assert_eq!(
        found(day(2.0)).await,
        [(half.campaign, day(1.0))],
        "somebody works on it"
    );
    approve(&store, draft).await;
    store.start(draft, &anna(), day(4.0)).await.unwrap();
    assert_eq!(found(day(5.0)).await, [(draft, day(4.0)), (half.campaign, day(1.0))]);
    intact(&store).await;
}
