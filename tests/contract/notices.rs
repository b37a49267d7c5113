//! Notices, from draft to acknowledged.

use breachpost::model::id::MailId;
use breachpost::model::notice::{Acknowledgement, NoticeChannel, Protection};
use breachpost::model::proof::Proof;
use breachpost::store::{NewNotice, Notices, Outbox, Register, Store, StoreError};

use crate::bed::{
    Bed, accepted, add_breach, anna, at, claim, deferred, done, file_notice, in_doubt, intact, notice, outcomes,
    put_on_wire, reference, state, worker,
};

/// An acknowledgement by a mail that the store holds.
async fn acknowledgement(store: &impl Store, theirs: Option<&str>) -> Acknowledgement {
    let (mail, _) = store
        .add_mail(b"Subject: received\r\n\r\n", "ingest", at(0))
        .await
        .unwrap();
    Acknowledgement {
        at: at(50),
        proof: Proof::Threaded { mail },
        authority_reference: theirs.map(str::to_owned),
        mail: Some(mail),
    }
}

pub async fn filing_stores_all_at_once(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let new = notice(breach, 1);
    let delivery = store.file_notice(new.clone(), &anna(), at(1)).await.unwrap().unwrap();
    // As another process sees it, after the answer.
    let store = bed.open();
    let found = store.find_notice(&reference(1)).await.unwrap().unwrap();
    assert_eq!(found.delivery, Some(delivery));
    assert_eq!((found.sequence, found.kind, found.channel), (1, new.kind, new.channel));
    assert_eq!(
        (found.protection.clone(), found.message_id.clone()),
        (new.protection, new.message_id)
    );
    assert_eq!((found.filed_at, found.filed_by.clone()), (at(1), anna()));
    assert_eq!(
        store.notice_content(&reference(1)).await.unwrap(),
        Some(b"content 1".to_vec())
    );
    assert_eq!(
        store.find_notice_by_message_id("<1@example.lu>").await.unwrap(),
        Some(found.clone())
    );
    assert_eq!(store.find_notice_by_message_id("<2@example.lu>").await.unwrap(), None);
    assert_eq!(store.list_notices(Some(breach)).await.unwrap(), [found]);
    assert_eq!(state(&store, delivery).await, "ready");
    intact(&store).await;
}

pub async fn drafts_are_replaced(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let draft = NewNotice {
        content: b"first".to_vec(),
        ..notice(breach, 1)
    };
    store.keep_draft(draft, "no certificate", &anna(), at(1)).await.unwrap();
    let found = store.find_notice(&reference(1)).await.unwrap().unwrap();
    assert_eq!(found.draft_reason.as_deref(), Some("no certificate"));
    assert_eq!((found.message_id, found.delivery), (None, None));
    assert!(
        claim(&store, worker(1), 9, at(2)).await.is_empty(),
        "a draft is not sent"
    );

    let draft = NewNotice {
        content: b"second".to_vec(),
        ..notice(breach, 1)
    };
    store
        .keep_draft(draft, "expired certificate", &anna(), at(2))
        .await
        .unwrap();
    assert_eq!(
        store.notice_content(&reference(1)).await.unwrap(),
        Some(b"second".to_vec())
    );

    store
        .file_notice(notice(breach, 1), &anna(), at(3))
        .await
        .unwrap()
        .unwrap();
    let notices = store.list_notices(None).await.unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!(
        (
            notices[0].draft_reason.clone(),
            notices[0].sequence,
            notices[0].filed_at
        ),
        (None, 1, at(3))
    );
    assert_eq!(
        store.notice_content(&reference(1)).await.unwrap(),
        Some(b"content 1".to_vec())
    );
    intact(&store).await;
}

pub async fn a_reference_is_used_once(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    store.file_notice(notice(breach, 1), &anna(), at(0)).await.unwrap();
    let again = store.file_notice(notice(breach, 1), &anna(), at(1)).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    let draft = store.keep_draft(notice(breach, 1), "why", &anna(), at(1)).await;
    assert!(matches!(draft, Err(StoreError::Conflict { .. })), "{draft:?}");
    // A draft of one breach is not overwritten by a notice about another.
    store
        .keep_draft(notice(breach, 2), "why", &anna(), at(1))
        .await
        .unwrap();
    let other = store
        .file_notice(notice(add_breach(&store).await, 2), &anna(), at(1))
        .await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })), "{other:?}");
    assert_eq!(claim(&store, worker(1), 9, at(2)).await.len(), 1);
    intact(&store).await;
}

pub async fn notices_are_numbered_for_each_authority(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    store.file_notice(notice(breach, 1), &anna(), at(0)).await.unwrap();
    let second = NewNotice {
        prior: Some(reference(1)),
        ..notice(breach, 2)
    };
    store.file_notice(second, &anna(), at(1)).await.unwrap();
    let other = NewNotice {
        authority: "fr-cnil".into(),
        ..notice(breach, 3)
    };
    store.file_notice(other, &anna(), at(2)).await.unwrap();
    let lost = NewNotice {
        prior: Some(reference(9)),
        ..notice(breach, 4)
    };
    let lost = store.file_notice(lost, &anna(), at(3)).await;
    assert!(matches!(lost, Err(StoreError::NotFound { .. })), "{lost:?}");
    let notices = store.list_notices(Some(breach)).await.unwrap();
    let numbers: Vec<_> = notices.into_iter().map(|n| (n.sequence, n.prior)).collect();
    assert_eq!(numbers, [(1, None), (2, Some(reference(1))), (1, None)]);
    intact(&store).await;
}

pub async fn another_channel_needs_no_delivery(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let booked = NewNotice {
        channel: NoticeChannel::Portal,
        message_id: None,
        protection: Some(Protection::Outside),
        mail: None,
        outside_reference: Some("2026/77".into()),
        proof_file: Some(("screen.png".into(), vec![1, 2, 3])),
        handed_at: Some(at(-600)),
        decision: Some("portal: the certificate had expired".into()),
        ..notice(breach, 1)
    };
    assert_eq!(store.file_notice(booked, &anna(), at(0)).await.unwrap(), None);
    let found = store.find_notice(&reference(1)).await.unwrap().unwrap();
    assert_eq!(
        (found.filed_at, found.outside_reference.as_deref()),
        (at(-600), Some("2026/77"))
    );
    let files = store.list_files(&reference(1)).await.unwrap();
    assert_eq!(
        (files.len(), files[0].name.as_str(), files[0].content.as_slice()),
        (1, "screen.png", &[1, 2, 3][..])
    );
    let decision = store
        .timeline(breach)
        .await
        .unwrap()
        .into_iter()
        .find(|l| l.kind == "notice_decision")
        .unwrap();
    assert!(
        decision.text.ends_with("portal: the certificate had expired"),
        "{}",
        decision.text
    );
    intact(&store).await;
}

pub async fn the_first_acknowledgement_stands(bed: &impl Bed) {
    let store = bed.open();
    let delivery = file_notice(&store).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(2)).await.unwrap();

    let first = acknowledgement(&store, None).await;
    store
        .acknowledge(&reference(1), first.clone(), None, &anna(), at(60))
        .await
        .unwrap();
    let found = store.find_notice(&reference(1)).await.unwrap().unwrap();
    assert_eq!(found.acknowledgement, Some(first.clone()));
    assert_eq!(state(&store, delivery).await, "confirmed");

    let attested = Proof::Attested {
        by: anna(),
        file_sha256: None,
    };
    let second = Acknowledgement {
        at: at(70),
        proof: attested,
        authority_reference: Some("CNPD-12".into()),
        mail: None,
    };
    let file = Some(("letter.pdf".to_owned(), b"pdf".to_vec()));
    store
        .acknowledge(&reference(1), second.clone(), file.clone(), &anna(), at(70))
        .await
        .unwrap();
    let third = Acknowledgement {
        authority_reference: Some("CNPD-99".into()),
        ..second
    };
    store
        .acknowledge(&reference(1), third.clone(), file, &anna(), at(80))
        .await
        .unwrap();
    let wanted = Acknowledgement {
        authority_reference: Some("CNPD-12".into()),
        ..first
    };
    let found = store.find_notice(&reference(1)).await.unwrap().unwrap();
    assert_eq!(found.acknowledgement, Some(wanted));
    assert_eq!(store.list_files(&reference(1)).await.unwrap().len(), 1);

    let (before, _) = breachpost::store::Journal::journal_head(&store).await.unwrap();
    store
        .acknowledge(&reference(1), third, None, &anna(), at(90))
        .await
        .unwrap();
    let (after, _) = breachpost::store::Journal::journal_head(&store).await.unwrap();
    assert_eq!(before, after, "what changes nothing is not journalled");
    intact(&store).await;
}

/// An authority that answers at once: its mail is read before the outcome of the sending is stored.
pub async fn an_acknowledgement_may_overtake_the_outcome(bed: &impl Bed) {
    let store = bed.open();
    let delivery = file_notice(&store).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    let acknowledgement = acknowledgement(&store, None).await;
    store
        .acknowledge(&reference(1), acknowledgement, None, &anna(), at(2))
        .await
        .unwrap();
    let lost = store.step(vec![done(&sent, accepted())], vec![], at(3)).await.unwrap();
    assert_eq!(lost, [], "the worker did nothing wrong");
    assert_eq!(state(&store, delivery).await, "confirmed");
    assert_eq!(outcomes(&store, delivery).await, ["accepted"]);
    intact(&store).await;
}

/// The first copy was in doubt, the second was deferred; then the authority confirms the first.
pub async fn an_acknowledgement_ends_the_retries(bed: &impl Bed) {
    let store = bed.open();
    let delivery = file_notice(&store).await;
    let first = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&first, in_doubt())], vec![], at(2)).await.unwrap();
    let second = put_on_wire(&store, worker(1), at(100)).await;
    store
        .step(vec![done(&second, deferred())], vec![], at(101))
        .await
        .unwrap();
    let acknowledgement = acknowledgement(&store, None).await;
    store
        .acknowledge(&reference(1), acknowledgement, None, &anna(), at(102))
        .await
        .unwrap();
    assert!(claim(&store, worker(1), 9, at(999_999)).await.is_empty());
    let found = store.find_delivery(delivery).await.unwrap().unwrap();
    assert_eq!((found.state.name(), found.possibly_twice), ("confirmed", true));
    intact(&store).await;
}

pub async fn withdrawing_ends_what_has_not_left(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    for n in 1..=4 {
        store.file_notice(notice(breach, n), &anna(), at(0)).await.unwrap();
    }
    store
        .keep_draft(notice(breach, 5), "why", &anna(), at(0))
        .await
        .unwrap();
    // 1 is handed, 2 on the wire, 3 leased, 4 ready, 5 a draft.
    let handed = put_on_wire(&store, worker(1), at(1)).await;
    store
        .step(vec![done(&handed, accepted())], vec![], at(1))
        .await
        .unwrap();
    put_on_wire(&store, worker(1), at(1)).await;
    let leased = claim(&store, worker(1), 1, at(1)).await;
    for (n, allowed) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
        let done = store.withdraw(&reference(n), &anna(), at(2)).await;
        assert_eq!(done.is_ok(), allowed, "{n}: {done:?}");
        let withdrawn = store.find_notice(&reference(n)).await.unwrap().unwrap().withdrawn_at;
        assert_eq!(withdrawn.is_some(), allowed, "{n}");
    }
    let lost = store.step(vec![], leased, at(3)).await.unwrap();
    assert_eq!(lost.len(), 1, "what was withdrawn under a lease does not leave");
    let again = store.withdraw(&reference(4), &anna(), at(4)).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    assert!(claim(&store, worker(1), 9, at(999)).await.is_empty());
    intact(&store).await;
}

pub async fn the_timeline_tells_the_story(bed: &impl Bed) {
    let store = bed.open();
    file_notice(&store).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, in_doubt())], vec![], at(2)).await.unwrap();
    let sent = put_on_wire(&store, worker(1), at(100)).await;
    store
        .step(vec![done(&sent, accepted())], vec![], at(101))
        .await
        .unwrap();
    let given = Acknowledgement {
        at: at(200),
        ..acknowledgement(&store, Some("CNPD-12")).await
    };
    assert_eq!(given.mail, Some(MailId::new(1)));
    store
        .acknowledge(&reference(1), given, None, &anna(), at(201))
        .await
        .unwrap();
    let breach = store.find_notice(&reference(1)).await.unwrap().unwrap().breach;
    let timeline = store.timeline(breach).await.unwrap();
    let kinds: Vec<_> = timeline.iter().map(|l| l.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "opened",
            "notice_filed",
            "notice_in_doubt",
            "notice_handed",
            "notice_acknowledged"
        ]
    );
    assert_eq!(
        timeline[3].text,
        format!("{} to lu-cnpd: 250 2.0.0 queued as 4F2", reference(1))
    );
    assert_eq!(timeline[4].text, format!("{} by lu-cnpd: CNPD-12", reference(1)));
    intact(&store).await;
}
