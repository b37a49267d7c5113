//! The store as a thing that can be copied.

use breachpost::store::{Copied, Custody, Outbox};

use crate::bed::{Bed, anna, at, claim, file_notice, intact, run_campaign, state, worker};

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
