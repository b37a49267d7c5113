//! What follows from mails: reports, questions, and what persons decide.

use breachpost::model::id::{DeliveryId, MailId};
use breachpost::model::receipt::{Authenticity, Certainty, Mark, ReceiptKind, ReportAction};
use breachpost::store::{
    CameBack, Campaigns, Consequences, Conversation, HowSettled, Intake, Journal, NewInquiry, NewNotice, NewReport,
    Notices, Outbox, Reach, Settled, Store, StoreError, Understanding,
};

use crate::bed::{
    Bed, accepted, anna, at, claim, done, file_notice, intact, notice, put_on_wire, reference, run_campaign, state,
    worker,
};

async fn mail(store: &impl Store, n: u8) -> MailId {
    let (id, _) = store.add_mail(&[n], "ingest", at(5)).await.unwrap();
    id
}
fn understood(kind: ReceiptKind, delivery: Option<DeliveryId>) -> Understanding {
    Understanding {
        kind,
        notice: Some(reference(1)),
        why: "for the test".into(),
        in_tray: false,
        authority_reference: None,
        signed_by: None,
        encrypted: false,
        delivery,
        matched_by: Some(Mark::EnvelopeId),
        certainty: Some(Certainty::Certain),
        proposed: Vec::new(),
        authenticity: Authenticity::default(),
        order_hint: None,
    }
}
fn reports(actions: &[ReportAction]) -> Consequences {
    let report = |action: &ReportAction| NewReport {
        action: *action,
        status: Some("5.1.1".into()),
        diagnostic: Some("no such user violations@authority.example".into()),
    };
    Consequences {
        reports: actions.iter().map(report).collect(),
        ..Consequences::default()
    }
}
fn question(order: bool) -> Consequences {
    Consequences {
        inquiry: Some(NewInquiry { due: at(100), order }),
        ..Consequences::default()
    }
}
fn settled(now: i64) -> Settled {
    Settled {
        at: at(now),
        by: anna(),
        how: HowSettled::Matched,
        reason: Some("looked at it".into()),
    }
}
/// A notice that was handed over.
async fn handed(store: &impl Store) -> DeliveryId {
    let delivery = file_notice(store).await;
    let sent = put_on_wire(store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(2)).await.unwrap();
    delivery
}
async fn report(store: &impl Store, mail: MailId, delivery: DeliveryId, action: ReportAction, now: i64) {
    let known = understood(ReceiptKind::Other, Some(delivery));
    store
        .understood(mail, known, reports(&[action]), &anna(), at(now))
        .await
        .unwrap();
}
async fn told(store: &impl Store) -> Vec<String> {
    let found = store.find_notice(&reference(1)).await.unwrap().unwrap();
    store
        .timeline(found.breach)
        .await
        .unwrap()
        .into_iter()
        .map(|line| line.kind)
        .collect()
}

pub async fn each_report_moves_a_delivery_as_far_as_it_proves(bed: &impl Bed) {
    use ReportAction::{Delayed, Delivered, Expanded, Failed, Relayed};
    let store = bed.open();
    let delivery = handed(&store).await;
    let mut n = 0;
    for (action, expected) in [
        (Delayed, "handed"),
        (Relayed, "handed"),
        (Expanded, "handed"),
        (Failed, "failed"),
        (Delivered, "confirmed"),
        // Nothing un-confirms.
        (Failed, "confirmed"),
        (Delayed, "confirmed"),
    ] {
        n += 1;
        let mail = mail(&store, n).await;
        for _ in 0..2 {
            report(&store, mail, delivery, action, i64::from(n) + 10).await;
        }
        assert_eq!(state(&store, delivery).await, expected, "{action:?}");
    }
    let kept = store.list_reports(delivery).await.unwrap();
    let actions: Vec<ReportAction> = kept.iter().map(|report| report.action).collect();
    assert_eq!(
        actions,
        [Delayed, Relayed, Expanded, Failed, Delivered, Failed, Delayed],
        "each once"
    );
    assert_eq!(kept[0].status.as_deref(), Some("5.1.1"));
    let told = told(&store).await;
    for kind in [
        "notice_delayed",
        "notice_relayed",
        "notice_bounced",
        "notice_delivered",
        "notice_returned_late",
    ] {
        assert!(told.iter().any(|line| line == kind), "{kind}: {told:?}");
    }
    let found = store.find_notice(&reference(1)).await.unwrap().unwrap();
    assert_eq!(found.acknowledgement, None, "delivered is not acknowledged");
    intact(&store).await;
}

pub async fn a_late_bounce_of_one_person_is_counted(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 2).await;
    let claims = claim(&store, worker(1), 2, at(1)).await;
    store.step(vec![], claims.clone(), at(1)).await.unwrap();
    let outcomes = claims.iter().map(|claim| done(claim, accepted())).collect();
    store.step(outcomes, vec![], at(2)).await.unwrap();
    let known = Understanding {
        notice: None,
        ..understood(ReceiptKind::Bounce, Some(claims[0].delivery))
    };
    let mail = mail(&store, 1).await;
    store
        .understood(mail, known, reports(&[ReportAction::Failed]), &anna(), at(3))
        .await
        .unwrap();
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.handed, tally.failed), (1, 1));
    intact(&store).await;
}

/// Each person once, whatever came of how many mails, and only those of this campaign.
pub async fn what_came_back_is_counted_by_person(bed: &impl Bed) {
    use ReportAction::{Delayed, Delivered, Failed, Relayed};
    let store = bed.open();
    let mut campaigns = Vec::new();
    for _ in 0..2 {
        campaigns.push(run_campaign(&store, 6).await);
    }
    let claims = claim(&store, worker(1), 12, at(1)).await;
    store.step(vec![], claims.clone(), at(1)).await.unwrap();
    let outcomes = claims.iter().map(|claim| done(claim, accepted())).collect();
    store.step(outcomes, vec![], at(2)).await.unwrap();
    assert_eq!(
        store.account(campaigns[0]).await.unwrap().came_back,
        CameBack::default()
    );
    let mut n = 0;
    let came: [(usize, ReceiptKind, &[ReportAction], i64); 15] = [
        (0, ReceiptKind::Delay, &[Delayed], 3),
        (1, ReceiptKind::Delay, &[Delayed], 3),
        (1, ReceiptKind::Bounce, &[Failed], 4),
        (1, ReceiptKind::Bounce, &[Failed], 5),
        (2, ReceiptKind::Delay, &[Delayed], 3),
        (2, ReceiptKind::Delivered, &[Delivered], 4),
        (3, ReceiptKind::Delay, &[Delayed], 3),
        (3, ReceiptKind::Delivered, &[Relayed], 4),
        (4, ReceiptKind::Autoreply, &[], 3),
        (4, ReceiptKind::Autoreply, &[], 4),
        (4, ReceiptKind::Reply, &[], 5),
        // The other campaign.
        (6, ReceiptKind::Reply, &[], 3),
        (7, ReceiptKind::Bounce, &[Failed], 3),
        // After the end of the first.
        (5, ReceiptKind::Bounce, &[Failed], 12),
        (1, ReceiptKind::Bounce, &[Failed], 13),
    ];
    for (person, kind, actions, now) in came {
        if now == 12 {
            store
                .settle_campaign(campaigns[0], at(10), &anna(), at(9))
                .await
                .unwrap();
            store.finish(campaigns[0], &anna(), at(10)).await.unwrap();
        }
        n += 1;
        let mail = mail(&store, n).await;
        let known = Understanding {
            notice: None,
            ..understood(kind, Some(claims[person].delivery))
        };
        // Twice, as after a crash.
        for _ in 0..2 {
            let known = known.clone();
            store
                .understood(mail, known, reports(actions), &anna(), at(now))
                .await
                .unwrap();
        }
    }
    let found = store.account(campaigns[0]).await.unwrap().came_back;
    let expected = CameBack {
        returned: 2,
        returned_late: 1,
        delayed: 1,
        autoreplies: 1,
        replies: 1,
    };
    assert_eq!(found, expected);
    let about = store.list_mails_about(claims[4].delivery).await.unwrap();
    assert_eq!(about.len(), 3);
    let bounced: Vec<_> = store.list_journal(0, 1_000).await.unwrap();
    let bounced: Vec<_> = bounced
        .iter()
        .filter(|entry| entry.event == "delivery.bounced")
        .collect();
    let late: Vec<bool> = bounced.iter().map(|entry| entry.details["after_end"] == true).collect();
    assert_eq!(late, [false, false, true]);
    intact(&store).await;
}

pub async fn a_report_about_nothing_changes_nothing(bed: &impl Bed) {
    let store = bed.open();
    handed(&store).await;
    let mail = mail(&store, 1).await;
    let unmatched = understood(ReceiptKind::Bounce, None);
    let refused = store
        .understood(mail, unmatched, reports(&[ReportAction::Failed]), &anna(), at(3))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let unknown = understood(ReceiptKind::Bounce, Some(DeliveryId::new(99)));
    let refused = store
        .understood(mail, unknown, reports(&[ReportAction::Failed]), &anna(), at(3))
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    assert_eq!(store.list_unread().await.unwrap(), [mail]);
    intact(&store).await;
}

pub async fn a_person_takes_mail_out_of_the_tray(bed: &impl Bed) {
    let store = bed.open();
    handed(&store).await;
    let (one, two) = (mail(&store, 1).await, mail(&store, 2).await);
    for id in [one, two] {
        let waits = Understanding {
            notice: None,
            in_tray: true,
            ..understood(ReceiptKind::Other, None)
        };
        store
            .understood(id, waits, Consequences::default(), &anna(), at(6))
            .await
            .unwrap();
    }
    assert_eq!(store.list_tray().await.unwrap().len(), 2);
    let matched = understood(ReceiptKind::Other, None);
    store
        .settle(one, matched, Consequences::default(), settled(7))
        .await
        .unwrap();
    store.dismiss(two, "spam", &anna(), at(8)).await.unwrap();
    assert!(store.list_tray().await.unwrap().is_empty());
    let kept = store.find_mail(one).await.unwrap().unwrap();
    assert_eq!((kept.in_tray, kept.settled), (false, Some(settled(7))));
    let kept = store.find_mail(two).await.unwrap().unwrap().settled.unwrap();
    assert_eq!((kept.how, kept.reason.as_deref()), (HowSettled::Done, Some("spam")));
    let of_notice = store.list_mails_of(&reference(1)).await.unwrap();
    assert_eq!(of_notice.iter().map(|mail| mail.id).collect::<Vec<_>>(), [one]);
    let missing = store.dismiss(MailId::new(99), "x", &anna(), at(9)).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    intact(&store).await;
}

/// A notice and a question about it that waits.
async fn asked(store: &impl Store) -> MailId {
    handed(store).await;
    let mail = mail(store, 1).await;
    let waits = Understanding {
        in_tray: true,
        ..understood(ReceiptKind::Reply, None)
    };
    for now in [6, 7] {
        store
            .understood(mail, waits.clone(), question(false), &anna(), at(now))
            .await
            .unwrap();
    }
    mail
}

pub async fn a_question_waits_until_a_person_ends_it(bed: &impl Bed) {
    let store = bed.open();
    let mail = asked(&store).await;
    let [open] = store.list_inquiries(true).await.unwrap().try_into().unwrap();
    assert_eq!(
        (open.mail, open.notice.clone(), open.due, open.order),
        (mail, reference(1), at(100), false)
    );
    assert_eq!((open.authority.as_str(), open.received_at), ("lu-cnpd", at(5)));
    // A person reads an order in it; understanding it again does not forget that.
    let known = understood(ReceiptKind::Reply, None);
    store
        .settle(mail, known.clone(), question(true), settled(8))
        .await
        .unwrap();
    store
        .understood(mail, known, question(false), &anna(), at(9))
        .await
        .unwrap();
    assert!(store.find_inquiry(mail).await.unwrap().unwrap().order);
    store
        .dismiss(mail, "answered by telephone", &anna(), at(10))
        .await
        .unwrap();
    assert!(store.list_inquiries(true).await.unwrap().is_empty());
    let [closed] = store.list_inquiries(false).await.unwrap().try_into().unwrap();
    assert_eq!(closed.closed.unwrap().reason.as_deref(), Some("answered by telephone"));
    let told = told(&store).await;
    for kind in ["inquiry_opened", "inquiry_order", "inquiry_closed"] {
        assert_eq!(told.iter().filter(|line| *line == kind).count(), 1, "{kind}: {told:?}");
    }
    intact(&store).await;
}

pub async fn an_answer_closes_its_question_when_it_is_handed_over(bed: &impl Bed) {
    let store = bed.open();
    let mail = asked(&store).await;
    let breach = store.find_notice(&reference(1)).await.unwrap().unwrap().breach;
    let answer = NewNotice {
        kind: breachpost::model::notice::NoticeKind::Answer,
        answers: Some(mail),
        ..notice(breach, 2)
    };
    let delivery = store.file_notice(answer, &anna(), at(10)).await.unwrap().unwrap();
    let sent = put_on_wire(&store, worker(1), at(11)).await;
    assert_eq!(
        store.list_inquiries(true).await.unwrap().len(),
        1,
        "not handed over yet"
    );
    store.step(vec![done(&sent, accepted())], vec![], at(12)).await.unwrap();
    assert!(store.list_inquiries(true).await.unwrap().is_empty());
    assert!(store.list_tray().await.unwrap().is_empty());
    let closed = store.find_inquiry(mail).await.unwrap().unwrap().closed.unwrap();
    assert_eq!(closed.answer, Some(reference(2)));
    let kept = store.find_mail(mail).await.unwrap().unwrap();
    assert_eq!(kept.settled.unwrap().how, HowSettled::Answered);

    // It comes back: the question waits again.
    let bounce = crate::conversation::mail(&store, 9).await;
    let known = Understanding {
        notice: Some(reference(2)),
        ..understood(ReceiptKind::Bounce, Some(delivery))
    };
    store
        .understood(bounce, known, reports(&[ReportAction::Failed]), &anna(), at(13))
        .await
        .unwrap();
    assert_eq!(store.list_inquiries(true).await.unwrap()[0].mail, mail);
    assert_eq!(store.list_tray().await.unwrap()[0].id, mail);
    intact(&store).await;
}
