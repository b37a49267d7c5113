//! The end of personal data: nobody who may still be written to, everything of those who are erased, and every sum and
//! proof as before.

use breachpost::model::delivery::{Fault, FaultCause, Outcome, SmtpReply, SmtpStep};
use breachpost::model::id::{CampaignId, MailId};
use breachpost::model::receipt::{ReceiptKind, ReportAction};
use breachpost::model::recipient::Reason;
use breachpost::store::{
    Campaigns, Consequences, Conversation, Erased, Erasure, Intake, ListTarget, Lists, NewBadRow, NewReport, NewRow,
    Outbox, RowContent, Store, StoreError, Understanding, Whom,
};

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, claim, conflict, done, intact, list, person,
    put_on_wire, refusal, run_campaign, state, worker,
};

/// A server's answer that repeats the recipient's address.
fn refused(address: &str) -> Outcome {
    Outcome::Refused {
        fault: Fault {
            step: SmtpStep::Rcpt,
            cause: FaultCause::Reply(SmtpReply {
                code: 550,
                enhanced: Some("5.1.1".into()),
                text: format!("no such user {address}"),
            }),
        },
    }
}

/// A campaign of three persons and a bad row: one handed, one refused, one whose mail came back; all with words that name
/// them.
pub async fn told_and_bounced(store: &impl Store) -> CampaignId {
    let breach = add_breach(store).await;
    let campaign = add_campaign(store, breach, (0..3).map(person).collect()).await;
    let bad = NewRow {
        corrects: None,
        content: RowContent::Bad(Box::new(NewBadRow {
            key: None,
            row: 9,
            line: None,
            column: Some("email".into()),
            reason: Reason::AddressWithoutAt,
            cells: vec!["nowhere".into(), "PERSON2@example.org".into()],
            fields: [("order", "nowhere")].into_iter().collect(),
        })),
    };
    let more = list(ListTarget::Draft(campaign), 'b', 1);
    let open = store.begin_list(more, &anna(), at(0)).await.unwrap();
    store.add_rows(open.list, 0, vec![bad], &anna(), at(0)).await.unwrap();
    store.end_list(open.list, &anna(), at(0)).await.unwrap();
    approve(store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();
    let claims = claim(store, worker(1), 3, at(1)).await;
    store.step(vec![], claims.clone(), at(1)).await.unwrap();
    let outcome = |claim| match claim {
        "person1@example.org" => refused(claim),
        _ => accepted(),
    };
    let outcomes = claims.iter().map(|claim| done(claim, outcome(&claim.recipient)));
    store.step(outcomes.collect(), vec![], at(2)).await.unwrap();
    let returned = claims.iter().find(|c| c.recipient == "person2@example.org").unwrap();
    let raw = b"From: <>\r\n\r\nDear sir, person2@example.org is gone.\r\n";
    let (mail, _) = store.add_mail(raw, "test", at(3)).await.unwrap();
    let known = Understanding {
        kind: ReceiptKind::Bounce,
        notice: None,
        why: "says that person2@example.org is gone".into(),
        in_tray: false,
        authority_reference: None,
        signed_by: None,
        encrypted: false,
        delivery: Some(returned.delivery),
        matched_by: None,
        certainty: None,
        proposed: Vec::new(),
        authenticity: Default::default(),
        order_hint: None,
    };
    let report = NewReport {
        action: ReportAction::Failed,
        status: Some("5.1.1".into()),
        diagnostic: Some("unknown: person2@example.org".into()),
    };
    let consequences = Consequences {
        reports: vec![report],
        ..Consequences::default()
    };
    store
        .understood(mail, known, consequences, &anna(), at(4))
        .await
        .unwrap();
    campaign
}

pub async fn nobody_is_erased_who_may_still_be_written_to(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 2).await;
    let all = store.erase_campaign(campaign, &anna(), at(1)).await;
    assert!(matches!(all, Err(StoreError::Conflict { .. })), "{all:?}");
    let one = store
        .erase_person(campaign, "person1@example.org", &anna(), at(1))
        .await;
    assert!(matches!(one, Err(StoreError::Conflict { .. })), "{one:?}");
    assert_eq!(store.list_erasable(at(1_000_000)).await.unwrap(), []);
    let unknown = store.erase_campaign(CampaignId::new(99), &anna(), at(1)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
    let waiting = claim(&store, worker(1), 9, at(2)).await;
    assert_eq!(waiting.len(), 2, "all are written to");
    intact(&store).await;
}

/// The answer to what is on the wire may name its person, and would come after the erasure.
pub async fn what_is_on_the_wire_ends_before_anybody_is_erased(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 2).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.cancel(campaign, &anna(), at(2)).await.unwrap();
    conflict(store.erase_campaign(campaign, &anna(), at(3)).await);
    conflict(store.erase_person(campaign, &sent.recipient, &anna(), at(3)).await);
    let outcome = done(&sent, refused(&sent.recipient));
    store.step(vec![outcome], vec![], at(4)).await.unwrap();
    let erased = store.erase_campaign(campaign, &anna(), at(5)).await.unwrap();
    assert_eq!(erased.persons, 2);
    let found = store.find_delivery(sent.delivery).await.unwrap().unwrap();
    assert_eq!((found.state.name(), found.attempts.len()), ("failed", 1));
    assert!(!format!("{found:?}").contains("@example.org"), "{found:?}");
    intact(&store).await;
}

/// A bounce may come before the server's answer is stored, and an erasure in between.
pub async fn an_answer_that_comes_after_the_erasure_is_kept_without_its_words(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.bounce(sent.delivery, refusal(), &anna(), at(2)).await.unwrap();
    let erased = store.erase_person(campaign, &sent.recipient, &anna(), at(3)).await;
    assert_eq!(erased.unwrap().persons, 1);
    let outcome = done(&sent, refused(&sent.recipient));
    store.step(vec![outcome], vec![], at(4)).await.unwrap();
    let found = store.find_delivery(sent.delivery).await.unwrap().unwrap();
    assert_eq!((found.state.name(), found.attempts.len()), ("failed", 1));
    assert!(!format!("{found:?}").contains("@example.org"), "{found:?}");
    let cause = found.attempts[0].fault.as_ref().map(|fault| &fault.cause);
    assert!(
        matches!(cause, Some(FaultCause::Reply(reply)) if reply.code == 550),
        "{cause:?}"
    );
    intact(&store).await;
}

/// In more than one transaction.
pub async fn all_that_came_back_is_erased_however_much_it_is(bed: &impl Bed) {
    const MAILS: u64 = 203;
    let store = bed.open();
    let campaign = told_and_bounced(&store).await;
    let first = store.newest_mail().await.unwrap().unwrap();
    let known = store.find_mail(first).await.unwrap().unwrap().understanding.unwrap();
    for number in 1..MAILS {
        let raw = format!("Subject: {number}\r\n\r\nI am person2@example.org\r\n");
        let (mail, _) = store.add_mail(raw.as_bytes(), "test", at(5)).await.unwrap();
        let nothing = Consequences::default();
        let by = anna();
        let understood = store.understood(mail, known.clone(), nothing, &by, at(5));
        understood.await.unwrap();
    }
    store.cancel(campaign, &anna(), at(6)).await.unwrap();
    let erased = store.erase_campaign(campaign, &anna(), at(7)).await.unwrap();
    let all = Erased {
        persons: 3,
        bad_rows: 1,
        mails: MAILS,
    };
    assert_eq!(erased, all);
    let last = store.newest_mail().await.unwrap().unwrap();
    for row in first.row()..=last.row() {
        let mail = store.find_mail(MailId::new(row)).await.unwrap().unwrap();
        assert_eq!(mail.raw, b"", "{}", mail.id);
    }
    intact(&store).await;
}

/// A bounce after the erasure moves its row, and brings nothing of the person back.
pub async fn what_comes_later_is_not_kept(bed: &impl Bed) {
    let store = bed.open();
    let campaign = told_and_bounced(&store).await;
    store
        .erase_person(campaign, "person0@example.org", &anna(), at(5))
        .await
        .unwrap();
    let [(_, delivery)] = store.find_erased("person0@example.org").await.unwrap()[..] else {
        panic!("one")
    };
    let add = async |raw: &[u8], in_tray: bool, actions: &[ReportAction]| {
        let (mail, _) = store.add_mail(raw, "test", at(6)).await.unwrap();
        let known = Understanding {
            kind: ReceiptKind::Bounce,
            notice: None,
            why: "says that person0@example.org is gone".into(),
            in_tray,
            authority_reference: None,
            signed_by: None,
            encrypted: false,
            delivery: Some(delivery),
            matched_by: None,
            certainty: None,
            proposed: Vec::new(),
            authenticity: Default::default(),
            order_hint: None,
        };
        let report = |action: &ReportAction| NewReport {
            action: *action,
            status: Some("5.1.1".into()),
            diagnostic: Some("unknown: person0@example.org".into()),
        };
        let consequences = Consequences {
            reports: actions.iter().map(report).collect(),
            ..Consequences::default()
        };
        store
            .understood(mail, known, consequences, &anna(), at(6))
            .await
            .unwrap();
        store.find_mail(mail).await.unwrap().unwrap()
    };
    let bounce = add(b"To: person0@example.org\r\n\r\n", false, &[ReportAction::Failed]).await;
    assert_eq!(
        (bounce.raw.len(), bounce.understanding.unwrap().why.as_str()),
        (0, "erased")
    );
    let found = store.find_delivery(delivery).await.unwrap().unwrap();
    assert_eq!(found.state.name(), "failed");
    assert!(!format!("{:?}", found.state).contains("person0"), "{:?}", found.state);
    let reports = store.list_reports(delivery).await.unwrap();
    assert_eq!(
        (reports[0].status.as_deref(), reports[0].diagnostic.as_deref()),
        (Some("5.1.1"), None)
    );
    let waits = add(b"From: person0@example.org\r\n\r\nHello?\r\n", true, &[]).await;
    assert!(waits.in_tray && !waits.raw.is_empty(), "a person must read it first");
    intact(&store).await;
}

pub async fn one_person_is_erased_in_whatever_spelling(bed: &impl Bed) {
    let store = bed.open();
    let campaign = told_and_bounced(&store).await;
    let before = store.tally(campaign).await.unwrap();
    let erased = store
        .erase_person(campaign, "Person2@EXAMPLE.org", &anna(), at(5))
        .await
        .unwrap();
    let one = Erased {
        persons: 1,
        bad_rows: 1,
        mails: 1,
    };
    assert_eq!(erased, one, "the bad row holds the address too");
    assert_eq!(store.tally(campaign).await.unwrap(), before);
    let told = store.find_erased("person2@example.org").await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(state(&store, told[0].1).await, "failed");
    let reports = store.list_reports(told[0].1).await.unwrap();
    assert_eq!(
        (reports[0].status.as_deref(), reports[0].diagnostic.as_deref()),
        (Some("5.1.1"), None)
    );
    let mail = store.find_mail(reports[0].mail).await.unwrap().unwrap();
    assert_eq!(
        (mail.raw.len(), mail.understanding.unwrap().why.as_str()),
        (0, "erased")
    );
    assert_eq!(
        store.find_erased("person1@example.org").await.unwrap(),
        [],
        "others stay"
    );
    let nobody = store
        .erase_person(campaign, "person2@example.org", &anna(), at(6))
        .await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })), "{nobody:?}");
    intact(&store).await;
}

/// `a@b.example` is in `dana@b.example` as letters, and is somebody else all the same.
pub async fn no_neighbour_is_erased(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = add_campaign(&store, breach, vec![person(0)]).await;
    let cells: [&[&str]; 6] = [
        &["dana@b.example dana2@b.example", "Rue 1", "Luxembourg"],
        &["a@b.example.org", "xa@b.example"],
        &["a@b.example-mail.org", "a@b"],
        &["Anna <A@B.example>; anna@other.example"],
        &["a@bücher.example", "by telephone"],
        &["'a@b.example'"],
    ];
    let rows: Vec<NewRow> = (1..)
        .zip(cells)
        .map(|(number, cells)| NewRow {
            corrects: None,
            content: RowContent::Bad(Box::new(NewBadRow {
                key: None,
                row: number,
                line: None,
                column: Some("email".into()),
                reason: Reason::SeveralAddresses,
                cells: cells.iter().map(|cell| (*cell).to_owned()).collect(),
                fields: Default::default(),
            })),
        })
        .collect();
    let more = list(ListTarget::Draft(campaign), 'b', rows.len() as u64);
    let open = store.begin_list(more, &anna(), at(0)).await.unwrap();
    store.add_rows(open.list, 0, rows, &anna(), at(0)).await.unwrap();
    store.end_list(open.list, &anna(), at(0)).await.unwrap();
    store.cancel(campaign, &anna(), at(1)).await.unwrap();
    let ids: Vec<_> = store.list_bad_rows(campaign, None, 9).await.unwrap();
    let left = async || {
        let rows = store.list_bad_rows(campaign, None, 9).await.unwrap();
        let whole = rows.iter().filter(|row| !row.cells.is_empty());
        whole.map(|row| row.row).collect::<Vec<_>>()
    };
    for (address, rows) in [("a@b.example", &[4, 6][..]), ("A@xn--bcher-kva.example", &[5])] {
        let wanted: Vec<_> = rows.iter().map(|row: &usize| Whom::BadRow(ids[row - 1].id)).collect();
        assert_eq!(store.list_at_address(campaign, address).await.unwrap(), wanted);
        let erased = store.erase_person(campaign, address, &anna(), at(2)).await.unwrap();
        assert_eq!((erased.persons, erased.bad_rows), (0, rows.len() as u64), "{address}");
    }
    assert_eq!(left().await, [1, 2, 3], "others keep their letters");
    for nobody in ["b.example", "Luxembourg", "a@b.example"] {
        assert_eq!(store.list_at_address(campaign, nobody).await.unwrap(), []);
        let erased = store.erase_person(campaign, nobody, &anna(), at(3)).await;
        assert!(
            matches!(erased, Err(StoreError::NotFound { .. })),
            "{nobody}: {erased:?}"
        );
    }
    intact(&store).await;
}
