//! Mail as it came in.

use breachpost::model::id::MailId;
use breachpost::model::notice::Acknowledgement;
use breachpost::model::proof::Proof;
use breachpost::model::receipt::{Authenticity, Certainty, Mark, ReceiptKind};
use breachpost::store::{Consequences, Intake, Notices, Outbox, StoreError, Understanding};

use crate::bed::{Bed, accepted, anna, at, done, file_notice, intact, put_on_wire, reference, state, worker};

const RAW: &[u8] = b"From: x@authority.example\r\nSubject: received\r\n\r\nWe have it.\r\n";

fn understanding(kind: ReceiptKind) -> Understanding {
    Understanding {
        kind,
        notice: Some(reference(1)),
        why: "carries our reference".into(),
        in_tray: false,
        authority_reference: Some("CNPD-12".into()),
        signed_by: None,
        encrypted: false,
        delivery: None,
        matched_by: Some(Mark::Reference),
        certainty: Some(Certainty::Likely),
        proposed: Vec::new(),
        authenticity: Authenticity::default(),
        order_hint: None,
    }
}
fn acknowledged(mail: MailId) -> Consequences {
    Consequences {
        acknowledgement: Some(acknowledgement(mail)),
        ..Consequences::default()
    }
}
fn acknowledgement(mail: MailId) -> Acknowledgement {
    Acknowledgement {
        at: at(9),
        proof: Proof::Threaded { mail },
        authority_reference: Some("CNPD-12".into()),
        mail: Some(mail),
    }
}

pub async fn a_mail_is_stored_once(bed: &impl Bed) {
    let store = bed.open();
    assert!(!store.seen("maildir:1").await.unwrap());
    assert_eq!(store.newest_mail().await.unwrap(), None);
    let (id, new) = store.add_mail(RAW, "maildir:1", at(1)).await.unwrap();
    assert!(new);
    assert_eq!(bed.open().add_mail(RAW, "maildir:2", at(2)).await.unwrap(), (id, false));
    assert_eq!(store.add_mail(RAW, "maildir:1", at(3)).await.unwrap(), (id, false));
    for (source, seen) in [("maildir:1", true), ("maildir:2", true), ("maildir:3", false)] {
        assert_eq!(store.seen(source).await.unwrap(), seen, "{source}");
    }
    let mail = store.find_mail(id).await.unwrap().unwrap();
    assert_eq!(
        (mail.raw.as_slice(), mail.source.as_str(), mail.received_at),
        (RAW, "maildir:1", at(1))
    );
    assert_eq!(store.find_mail(MailId::new(99)).await.unwrap(), None);
    intact(&store).await;
}

pub async fn what_was_not_understood_is_found_again(bed: &impl Bed) {
    let store = bed.open();
    let (first, _) = store.add_mail(b"one", "ingest", at(1)).await.unwrap();
    let (second, _) = store.add_mail(b"two", "ingest", at(1)).await.unwrap();
    assert!(second.row() > first.row());
    assert_eq!(bed.open().newest_mail().await.unwrap(), Some(second));
    assert_eq!(store.list_unread().await.unwrap(), [first, second]);
    let other = Understanding {
        notice: None,
        ..understanding(ReceiptKind::Other)
    };
    store
        .understood(first, other.clone(), Consequences::default(), &anna(), at(2))
        .await
        .unwrap();
    assert_eq!(store.list_unread().await.unwrap(), [second]);
    let missing = store
        .understood(MailId::new(99), other, Consequences::default(), &anna(), at(2))
        .await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    intact(&store).await;
}

pub async fn the_tray_keeps_what_waits_for_a_person(bed: &impl Bed) {
    let store = bed.open();
    assert_eq!(store.tray_waits_since().await.unwrap(), None);
    let (id, _) = store.add_mail(RAW, "ingest", at(1)).await.unwrap();
    let waits = Understanding {
        in_tray: true,
        notice: None,
        ..understanding(ReceiptKind::Reply)
    };
    store
        .understood(id, waits.clone(), Consequences::default(), &anna(), at(2))
        .await
        .unwrap();
    let tray = store.list_tray().await.unwrap();
    assert_eq!((tray.len(), tray[0].id, tray[0].raw.len()), (1, id, 0));
    assert_eq!(tray[0].understanding, Some(waits.clone()));
    let (later, _) = store.add_mail(b"later", "ingest", at(5)).await.unwrap();
    let by = anna();
    let understood = store.understood(later, waits.clone(), Consequences::default(), &by, at(6));
    understood.await.unwrap();
    assert_eq!(
        store.tray_waits_since().await.unwrap(),
        Some(at(1)),
        "the one that came first"
    );
    // A person has matched it.
    let matched = Understanding {
        in_tray: false,
        ..waits
    };
    store
        .understood(id, matched, Consequences::default(), &anna(), at(3))
        .await
        .unwrap();
    assert_eq!(store.tray_waits_since().await.unwrap(), Some(at(5)));
    assert_eq!(store.list_tray().await.unwrap().len(), 1);
    intact(&store).await;
}

pub async fn an_acknowledgement_moves_its_notice(bed: &impl Bed) {
    let store = bed.open();
    let delivery = file_notice(&store).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(2)).await.unwrap();
    let (mail, _) = store.add_mail(RAW, "ingest", at(9)).await.unwrap();
    for now in [at(10), at(11)] {
        // Twice, as after a crash in between.
        let understood = understanding(ReceiptKind::Acknowledgement);
        store
            .understood(mail, understood, acknowledged(mail), &anna(), now)
            .await
            .unwrap();
    }
    let notice = store.find_notice(&reference(1)).await.unwrap().unwrap();
    assert_eq!(notice.acknowledgement, Some(acknowledgement(mail)));
    assert_eq!(state(&store, delivery).await, "confirmed");
    intact(&store).await;
}

pub async fn an_acknowledgement_of_nothing_changes_nothing(bed: &impl Bed) {
    let store = bed.open();
    let (mail, _) = store.add_mail(RAW, "ingest", at(1)).await.unwrap();
    let unmatched = Understanding {
        notice: None,
        ..understanding(ReceiptKind::Acknowledgement)
    };
    let refused = store
        .understood(mail, unmatched, acknowledged(mail), &anna(), at(2))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let unknown = understanding(ReceiptKind::Acknowledgement);
    let refused = store
        .understood(mail, unknown, acknowledged(mail), &anna(), at(2))
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    assert_eq!(store.list_unread().await.unwrap(), [mail]);
    intact(&store).await;
}
