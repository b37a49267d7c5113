//! Persons with tokens, and approvals.

use breachpost::model::delivery::HoldReason;
use breachpost::model::id::Actor;
use breachpost::store::{NewNotice, Notices, Outbox, People, StoreError};

use crate::bed::{Bed, add_breach, anna, at, claim, conflict, intact, notice, reference, state, worker};

fn bob() -> Actor {
    Actor::User("bob".into())
}
fn digest(n: u8) -> String {
    format!("{n:064x}")
}

pub async fn a_token_leads_to_its_user(bed: &impl Bed) {
    let store = bed.open();
    store.add_user("bob", &digest(1), &anna(), at(1)).await.unwrap();
    conflict(store.add_user("bob", &digest(2), &anna(), at(2)).await);
    store.renew_token("bob", &digest(3), &anna(), at(3)).await.unwrap();
    assert_eq!(store.find_user_by_token(&digest(1)).await.unwrap(), None);
    let found = store.find_user_by_token(&digest(3)).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.disabled_at), ("bob", None));
    store.disable_user("bob", &anna(), at(4)).await.unwrap();
    store.disable_user("bob", &anna(), at(5)).await.unwrap();
    let users = store.list_users().await.unwrap();
    assert_eq!((users.len(), users[0].disabled_at), (1, Some(at(4))));
    assert!(matches!(
        store.renew_token("carl", &digest(4), &anna(), at(5)).await,
        Err(StoreError::NotFound { .. })
    ));
    intact(&store).await;
}

pub async fn only_a_second_person_lets_a_notice_go(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let new = NewNotice {
        hold: Some(HoldReason::Approval),
        ..notice(breach, 1)
    };
    let delivery = store.file_notice(new.clone(), &anna(), at(1)).await.unwrap().unwrap();
    assert_eq!(state(&store, delivery).await, "held");
    conflict(store.retry_now(delivery, &bob(), at(2)).await);
    conflict(store.approve_notice(&reference(1), &anna(), at(2)).await);
    assert!(claim(&store, worker(1), 9, at(3)).await.is_empty());

    assert_eq!(
        store.approve_notice(&reference(1), &bob(), at(4)).await.unwrap(),
        delivery
    );
    assert_eq!(state(&store, delivery).await, "ready");
    assert_eq!(claim(&store, worker(1), 9, at(5)).await.len(), 1);
    let [approval] = store
        .list_approvals(reference(1).as_str())
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!((approval.by, approval.content_sha256), (bob(), new.content_sha256));
    // What waits for nobody needs no approval.
    store.file_notice(notice(breach, 2), &anna(), at(5)).await.unwrap();
    conflict(store.approve_notice(&reference(2), &bob(), at(6)).await);
    intact(&store).await;
}
