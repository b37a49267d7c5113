//! Alerts: raised once, told through every channel, seen, ended; and the one clerk.

use breachpost::model::alert::{About, Alarm, Condition, Stage};
use breachpost::model::id::{AlertId, BreachId};
use breachpost::store::{Alarms, Changes, StoreError, StoredAlert, TellingState, Told};

use crate::bed::{Bed, anna, at, intact, lease, worker};

fn deadline(stage: Stage) -> Alarm {
    Alarm {
        condition: Condition::Deadline,
        stage,
        about: About {
            breach: Some(BreachId { year: 2026, number: 1 }),
            authority: Some("lu-cnpd".into()),
            ..About::default()
        },
        due: Some(at(72 * 3600)),
        since: None,
    }
}
fn channels() -> Vec<String> {
    vec!["email:3f2a9c01".into(), "webhook:77b0e5d2".into()]
}
async fn set(store: &impl Alarms, holding: &[Alarm], seconds: i64) -> Changes {
    let by = anna();
    let set = store.set_alarms(holding.to_vec(), channels(), &by, at(seconds));
    set.await.unwrap()
}
async fn only(store: &impl Alarms) -> StoredAlert {
    let mut all = store.list_alerts(10).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}
fn states(alert: &StoredAlert) -> Vec<(u32, &'static str)> {
    let name = |state: &TellingState| match state {
        TellingState::Due { .. } => "due",
        TellingState::Leased { .. } => "leased",
        TellingState::Sent { .. } => "sent",
        TellingState::Failed { .. } => "failed",
        TellingState::Dropped { .. } => "dropped",
    };
    alert.tellings.iter().map(|t| (t.round, name(&t.state))).collect()
}

pub async fn an_alarm_is_raised_once(bed: &impl Bed) {
    let store = bed.open();
    let alarm = deadline(Stage::HoursBefore(24));
    let first = set(&store, &[alarm.clone(), alarm.clone()], 0).await;
    assert_eq!(first.raised, [AlertId::new(1)]);
    assert_eq!(
        set(&bed.open(), std::slice::from_ref(&alarm), 5).await,
        Changes::default()
    );
    let stored = only(&store).await;
    assert_eq!((stored.alert.alarm.clone(), stored.alert.raised_at), (alarm, at(0)));
    assert_eq!(states(&stored), [(0, "due"), (0, "due")]);
    // The next stage ends this one, whose unsent tellings are not needed any more.
    let next = set(&store, &[deadline(Stage::HoursBefore(12))], 9).await;
    assert_eq!(
        (next.raised, next.resolved),
        (vec![AlertId::new(2)], vec![AlertId::new(1)])
    );
    let all = store.list_alerts(10).await.unwrap();
    assert_eq!(states(&all[1]), [(0, "dropped"), (0, "dropped")]);
    let open = store.list_open_alerts().await.unwrap();
    assert_eq!(open.iter().map(|a| a.alert.id).collect::<Vec<_>>(), [AlertId::new(2)]);
    intact(&store).await;
}

pub async fn racing_clerks_raise_once(bed: &impl Bed) {
    let (one, two) = (bed.open(), bed.open());
    let alarms: Vec<Alarm> = (1..=20).map(|h| deadline(Stage::HoursBefore(h))).collect();
    let (a, b) = tokio::join!(set(&one, &alarms, 0), set(&two, &alarms, 0));
    assert_eq!(a.raised.len() + b.raised.len(), 20);
    let all = one.list_alerts(100).await.unwrap();
    assert_eq!(all.len(), 20);
    assert!(all.iter().all(|alert| alert.tellings.len() == 2));
    intact(&one).await;
}

pub async fn what_comes_back_is_not_told_anew(bed: &impl Bed) {
    let store = bed.open();
    let alarm = [deadline(Stage::Passed)];
    let id = set(&store, &alarm, 0).await.raised[0];
    store.acknowledge_alert(id, None, &anna(), at(1)).await.unwrap();
    assert_eq!(set(&store, &[], 10).await.resolved, [id]);
    assert_eq!(set(&store, &alarm, 20).await.reopened, [id]);
    let back = only(&store).await;
    assert!(back.alert.waits(), "somebody must look again");
    assert_eq!(states(&back), [(0, "dropped"), (0, "dropped")]);
    // One hour after it was told first, however often it came and went.
    assert!(!back.alert.repeat_is_due(at(3599)));
    assert!(back.alert.repeat_is_due(at(3600)));
    intact(&store).await;
}

pub async fn an_alert_is_told_until_it_is_taken(bed: &impl Bed) {
    let store = bed.open();
    set(&store, &[deadline(Stage::Passed)], 0).await;
    let claims = store.claim_tellings(worker(1), 9, at(1), lease()).await.unwrap();
    let claimed: Vec<&str> = claims.iter().map(|c| c.channel.as_str()).collect();
    assert_eq!(claimed, channels());
    assert_eq!(store.claim_tellings(worker(1), 9, at(2), lease()).await.unwrap(), []);
    store.told(claims[0].clone(), Told::Sent, at(3)).await.unwrap();
    let again = Told::Again {
        fault: "HTTP status 500".into(),
        next: at(60),
    };
    store.told(claims[1].clone(), again, at(3)).await.unwrap();
    assert_eq!(states(&only(&store).await), [(0, "sent"), (0, "due")]);
    assert_eq!(store.claim_tellings(worker(1), 9, at(59), lease()).await.unwrap(), []);
    let retry = store.claim_tellings(worker(1), 9, at(60), lease()).await.unwrap();
    assert_eq!(
        (retry.len(), retry[0].tries, retry[0].channel.as_str()),
        (1, 1, "webhook:77b0e5d2")
    );
    let gone = Told::Failed {
        fault: "HTTP status 410".into(),
    };
    store.told(retry[0].clone(), gone, at(61)).await.unwrap();
    let stored = only(&store).await;
    assert_eq!(states(&stored), [(0, "sent"), (0, "failed")]);
    assert_eq!(stored.tellings[1].fault.as_deref(), Some("HTTP status 410"));
    intact(&store).await;
}

pub async fn a_dead_clerk_leaves_nothing_untold(bed: &impl Bed) {
    let store = bed.open();
    set(&store, &[deadline(Stage::Passed)], 0).await;
    let dead = store.claim_tellings(worker(1), 9, at(1), lease()).await.unwrap();
    // The next clerk takes them at once; the dead one's word comes too late.
    let taken = bed.open().claim_tellings(worker(2), 9, at(2), lease()).await.unwrap();
    assert_eq!(taken.len(), 2);
    store.told(dead[0].clone(), Told::Sent, at(3)).await.unwrap();
    assert_eq!(states(&only(&store).await), [(0, "leased"), (0, "leased")]);
    // Nor does one that hangs keep them for ever.
    let hung = store
        .claim_tellings(worker(2), 9, at(2) + lease(), lease())
        .await
        .unwrap();
    assert_eq!(hung.len(), 2);
    intact(&store).await;
}

pub async fn an_ignored_alert_is_repeated(bed: &impl Bed) {
    let store = bed.open();
    let id = set(&store, &[deadline(Stage::Passed)], 0).await.raised[0];
    let repeat = |reminders, seconds| {
        let store = store.clone();
        async move {
            let by = anna();
            let repeated = store.repeat_alert(id, reminders, channels(), &by, at(seconds));
            repeated.await.unwrap()
        }
    };
    assert!(repeat(0, 3600).await);
    assert!(!repeat(0, 3600).await, "another clerk did it");
    let stored = only(&store).await;
    assert_eq!((stored.alert.reminders, stored.alert.reminded_at), (1, at(3600)));
    assert_eq!(
        states(&stored),
        [(0, "dropped"), (0, "dropped"), (1, "due"), (1, "due")]
    );
    store.acknowledge_alert(id, None, &anna(), at(3700)).await.unwrap();
    assert!(!repeat(1, 9999).await, "somebody knows");
    intact(&store).await;
}

pub async fn who_saw_it_first_stays_on_record(bed: &impl Bed) {
    let store = bed.open();
    let id = set(&store, &[deadline(Stage::Passed)], 0).await.raised[0];
    let claims = store.claim_tellings(worker(1), 1, at(1), lease()).await.unwrap();
    let seen = store
        .acknowledge_alert(id, Some("on it"), &anna(), at(5))
        .await
        .unwrap();
    let again = store
        .acknowledge_alert(id, Some("me too"), &anna(), at(9))
        .await
        .unwrap();
    assert_eq!(seen, again);
    let seen = seen.acknowledged.unwrap();
    assert_eq!((seen.at, seen.by, seen.note.as_deref()), (at(5), anna(), Some("on it")));
    // What was on its way is not sent again; what was not sent is not sent at all.
    store.told(claims[0].clone(), Told::Sent, at(6)).await.unwrap();
    assert_eq!(states(&only(&store).await), [(0, "dropped"), (0, "dropped")]);
    assert_eq!(store.claim_tellings(worker(1), 9, at(99), lease()).await.unwrap(), []);
    let unknown = store.acknowledge_alert(AlertId::new(9), None, &anna(), at(5)).await;
    assert!(
        matches!(unknown, Err(StoreError::NotFound { what: "alert", .. })),
        "{unknown:?}"
    );
    intact(&store).await;
}

pub async fn there_is_one_clerk(bed: &impl Bed) {
    let store = bed.open();
    let lead = |by, dead, seconds| {
        let store = store.clone();
        async move { store.lead(by, dead, at(seconds), lease()).await.unwrap() }
    };
    let (one, two) = (worker(1), worker(2));
    assert_eq!(store.find_leader().await.unwrap(), None);
    assert!(lead(one, None, 0).await);
    assert!(!lead(two, None, 1).await);
    assert!(lead(one, None, 2).await, "it goes on leading");
    assert_eq!(store.find_leader().await.unwrap(), Some(one));
    assert!(lead(two, Some(one), 3).await, "its process has died");
    assert!(!lead(one, None, 4).await);
    assert!(lead(one, None, 3 + lease().num_seconds()).await, "the lease has ended");
    store.end_lead(two).await.unwrap();
    assert!(!lead(two, None, 400).await, "only its own");
    store.end_lead(one).await.unwrap();
    assert!(lead(two, None, 400).await);
}
