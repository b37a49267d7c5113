//! The journal, as long as nobody meddles; `sqlite.rs` meddles.

use breachpost::store::{Checkpoint, Journal, JournalVerdict, Outbox, StoreError, chain};
use serde_json::json;

use crate::bed::{
    Bed, accepted, anna, at, claim, deferred, done, file_notice, intact, put_on_wire, run_campaign, worker,
};

pub async fn entries_form_a_chain(bed: &impl Bed) {
    let store = bed.open();
    let zeros = "0".repeat(64);
    assert_eq!(store.journal_head().await.unwrap(), (0, zeros.clone()));
    assert_eq!(store.head_at(0).await.unwrap(), Some(zeros.clone()));
    intact(&store).await;
    for n in 0..3 {
        store
            .append("test.event", json!({ "n": n, "attempts": 5 }), &anna(), at(n))
            .await
            .unwrap();
    }
    let entries = store.list_journal(0, 10).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(entries[0].previous, zeros);
    assert_eq!(
        (&entries[1].previous, &entries[2].previous),
        (&entries[0].hash, &entries[1].hash)
    );
    assert_eq!((entries[2].actor.as_str(), entries[2].at), ("os:anna", at(2)));
    assert_eq!(store.list_journal(1, 1).await.unwrap(), [entries[1].clone()]);
    assert_eq!(store.journal_head().await.unwrap(), (3, entries[2].hash.clone()));
    assert_eq!(store.head_at(2).await.unwrap(), Some(entries[1].hash.clone()));
    assert_eq!(store.head_at(4).await.unwrap(), None);
    let wanted = JournalVerdict::Intact {
        length: 3,
        head: entries[2].hash.clone(),
    };
    assert_eq!(store.verify_journal().await.unwrap(), wanted);
}

pub async fn details_have_one_spelling(bed: &impl Bed) {
    let store = bed.open();
    let details = json!({ "z": [1, { "y": null, "x": "é\"\n" }], "a": 1.5 });
    store
        .append("test.event", details.clone(), &anna(), at(0))
        .await
        .unwrap();
    let entry = store.list_journal(0, 1).await.unwrap().remove(0);
    assert_eq!(chain::canonical(&entry.details), chain::canonical(&details));
    intact(&store).await;
}

pub async fn checkpoints_bind_the_chain(bed: &impl Bed) {
    let store = bed.open();
    store.append("test.event", json!({}), &anna(), at(0)).await.unwrap();
    let (length, head) = store.journal_head().await.unwrap();
    let checkpoint = Checkpoint {
        length,
        head,
        // Finer than the store's clock: the signature covers every digit.
        at: "2026-11-21T10:00:00.123456789Z".parse().unwrap(),
        signer: "A".repeat(40),
        signature: "signature".into(),
    };
    store.add_checkpoint(checkpoint.clone()).await.unwrap();
    assert_eq!(
        store.list_checkpoints().await.unwrap(),
        std::slice::from_ref(&checkpoint)
    );
    for wrong in [
        Checkpoint {
            head: "f".repeat(64),
            ..checkpoint.clone()
        },
        Checkpoint {
            length: 2,
            ..checkpoint
        },
    ] {
        let refused = store.add_checkpoint(wrong).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    }
    store.append("test.event", json!({}), &anna(), at(1)).await.unwrap();
    intact(&store).await;
}

pub async fn one_entry_covers_the_attempts_of_a_commit(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 5).await;
    let claims = claim(&store, worker(1), 5, at(1)).await;
    store.step(vec![], claims.clone(), at(1)).await.unwrap();
    let (before, _) = store.journal_head().await.unwrap();
    let outcomes = [accepted(), accepted(), deferred(), accepted(), deferred()];
    let outcomes = claims
        .iter()
        .zip(outcomes)
        .map(|(c, outcome)| done(c, outcome))
        .collect();
    store.step(outcomes, vec![], at(2)).await.unwrap();
    let entries = store.list_journal(before, 9).await.unwrap();
    assert_eq!(entries.len(), 1);
    let details = &entries[0].details;
    assert_eq!(
        (&details["campaign"], &details["attempts"]),
        (&json!(campaign), &json!(5))
    );
    assert_eq!((&details["accepted"], &details["deferred"]), (&json!(3), &json!(2)));

    // A notice's attempt stands alone, and says what the relay said, but not in whose words.
    file_notice(&store).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(2)).await.unwrap();
    let last = store.list_journal(0, 99).await.unwrap().pop().unwrap();
    assert_eq!(last.event, "delivery.attempt");
    assert_eq!(
        (&last.details["code"], &last.details["enhanced"]),
        (&json!(250), &json!("2.0.0"))
    );
    assert!(!last.details.to_string().contains("queued"), "{}", last.details);
    intact(&store).await;
}

pub async fn a_long_journal_is_walked_in_pages(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 3).await;
    for n in 0..1_200 {
        store
            .append("test.event", json!({ "n": n }), &anna(), at(n))
            .await
            .unwrap();
        if n % 500 == 499 {
            let sent = put_on_wire(&store, worker(1), at(n)).await;
            store.step(vec![done(&sent, accepted())], vec![], at(n)).await.unwrap();
        }
    }
    intact(&store).await;
}
