//! Which conditions hold, as tables.

use proptest::prelude::*;

use super::*;
use crate::model::delivery::{Fault, FaultCause, HoldReason, SmtpReply, SmtpStep};
use crate::model::id::MailId;

/// Hours after awareness; the deadline is at 72.
fn at(hours: i64) -> Time {
    minutes(hours * 60)
}
fn minutes(minutes: i64) -> Time {
    "2026-11-18T09:00:00Z".parse::<Time>().unwrap() + TimeDelta::minutes(minutes)
}
fn breach() -> BreachFacts {
    BreachFacts {
        id: BreachId { year: 2026, number: 1 },
        authority: Some("lu-cnpd".into()),
        deadline: Some(at(72)),
        update_due: None,
    }
}
fn handed(hours: i64) -> DeliveryState {
    DeliveryState::Handed {
        at: at(hours),
        reply: SmtpReply {
            code: 250,
            enhanced: None,
            text: "ok".into(),
        },
    }
}
fn failed(hours: i64) -> DeliveryState {
    DeliveryState::Failed {
        at: at(hours),
        fault: Fault {
            step: SmtpStep::Rcpt,
            cause: FaultCause::Network("gone".into()),
        },
    }
}
/// A notice that was handed over at once, `hours` after awareness.
fn notice(hours: i64) -> NoticeFacts {
    NoticeFacts {
        reference: Reference::from_bits([1, 2, 3, 4, 5]),
        breach: breach().id,
        authority: "lu-cnpd".into(),
        supervisory: true,
        sequence: 1,
        kind: NoticeKind::Complete,
        state: NoticeState::Handed,
        stub: false,
        filed_at: at(hours),
        delivery: Some(handed(hours)),
        tried_at: Some(at(hours)),
        acknowledged_within: None,
        acknowledgement: Expected::Unknown,
        sealed_to: Some("A".repeat(40)),
    }
}
fn waiting(hours: i64, delivery: DeliveryState, state: NoticeState) -> NoticeFacts {
    NoticeFacts {
        delivery: Some(delivery),
        state,
        ..notice(hours)
    }
}
fn house() -> Snapshot {
    Snapshot {
        remind_hours_before: vec![48, 24, 12, 6, 2],
        zone: chrono_tz::Europe::Luxembourg,
        breaches: vec![breach()],
        notices: Vec::new(),
        inquiries: Vec::new(),
        keys: Vec::new(),
        health: Vec::new(),
        paused: Vec::new(),
        held: Vec::new(),
        put_off: Vec::new(),
        unfinished: Vec::new(),
    }
}
/// `condition stage` of every alarm.
fn shown(seen: &Snapshot, now: Time) -> Vec<String> {
    let alarms = holding(seen, now).into_iter();
    alarms
        .map(|alarm| format!("{} {}", alarm.condition.name(), alarm.stage))
        .collect()
}
fn none() -> Vec<&'static str> {
    Vec::new()
}

#[test]
fn the_deadline_comes_nearer_stage_by_stage() {
    for (minute, wanted) in [
        (0, None),
        (24 * 60 - 1, None),
        (24 * 60, Some("deadline 48h_before")),
        (48 * 60 - 1, Some("deadline 48h_before")),
        (48 * 60, Some("deadline 24h_before")),
        (60 * 60, Some("deadline 12h_before")),
        (66 * 60, Some("deadline 6h_before")),
        (70 * 60, Some("deadline 2h_before")),
        // On the instant itself a notice is still in time.
        (72 * 60, Some("deadline 2h_before")),
        (72 * 60 + 1, Some("deadline passed")),
        (999 * 60, Some("deadline passed")),
    ] {
        assert_eq!(shown(&house(), minutes(minute)), Vec::from_iter(wanted), "{minute}");
    }
    let mut none_asked = house();
    none_asked.remind_hours_before.clear();
    assert_eq!(shown(&none_asked, at(71)), none());
    assert_eq!(shown(&none_asked, at(73)), ["deadline passed"]);
}

#[test]
fn who_counts_as_told() {
    use NoticeState as S;
    let ready = DeliveryState::Ready { not_before: at(71) };
    let to = |authority: &str, supervisory| NoticeFacts {
        authority: authority.into(),
        supervisory,
        acknowledgement: Expected::No,
        ..notice(70)
    };
    let stub = NoticeFacts {
        stub: true,
        ..notice(70)
    };
    let by_portal = NoticeFacts {
        delivery: None,
        ..notice(70)
    };
    let fresh = NoticeFacts {
        filed_at: minutes(71 * 60 - 9),
        ..waiting(71, ready.clone(), S::Queued)
    };
    for (name, authority, notice, told) in [
        ("handed", Some("lu-cnpd"), notice(70), true),
        ("booked from a portal", Some("lu-cnpd"), by_portal, true),
        ("a content-free mail", Some("lu-cnpd"), stub, false),
        ("somebody else", Some("lu-cnpd"), to("de-bfdi", true), false),
        ("nobody in particular is needed", None, to("de-bfdi", true), true),
        (
            "a CSIRT is no supervisory authority",
            None,
            to("lu-circl", false),
            false,
        ),
        ("waits for the relay since just now", Some("lu-cnpd"), fresh, true),
        (
            "waits for the relay for long",
            Some("lu-cnpd"),
            waiting(70, ready, S::Queued),
            false,
        ),
        ("refused", Some("lu-cnpd"), waiting(70, failed(70), S::Failed), false),
    ] {
        let mut seen = house();
        seen.breaches[0].authority = authority.map(Into::into);
        seen.notices.push(notice);
        let alarm = shown(&seen, at(71)).contains(&"deadline 2h_before".to_owned());
        assert_eq!(alarm, !told, "{name}");
    }
}

#[test]
fn silence_is_noticed_while_there_is_time() {
    // Handed at, within, deadline: expected by.
    for (name, handed, within, deadline, by) in [
        ("the usual day", 0, None, Some(72), 24),
        ("the authority's own time", 0, Some(4), Some(72), 4),
        ("half of what was left", 60, None, Some(72), 66),
        ("half is later than its time", 60, Some(2), Some(72), 62),
        ("handed late", 80, None, Some(72), 104),
        ("no deadline known", 10, None, None, 34),
    ] {
        let deadline = deadline.map(at);
        let within = within.map(TimeDelta::hours);
        assert_eq!(acknowledged_by(at(handed), within, deadline), at(by), "{name}");
        let mut seen = house();
        seen.breaches[0].deadline = deadline;
        seen.notices.push(NoticeFacts {
            acknowledged_within: within,
            ..notice(handed)
        });
        assert_eq!(shown(&seen, minutes(by * 60 - 1)), none(), "{name}");
        assert_eq!(shown(&seen, at(by)), ["no_acknowledgement now"], "{name}");
        assert_eq!(
            holding(&seen, at(by + 9))[0].key(),
            holding(&seen, at(by))[0].key(),
            "{name}"
        );
    }
}

#[test]
fn silence_means_nothing_where_none_is_expected() {
    let acknowledged = NoticeFacts {
        state: NoticeState::Acknowledged,
        delivery: None,
        sequence: 2,
        ..notice(30)
    };
    for (name, notices) in [
        (
            "the authority never confirms",
            vec![NoticeFacts {
                acknowledgement: Expected::No,
                ..notice(0)
            }],
        ),
        (
            "an answer",
            vec![NoticeFacts {
                kind: NoticeKind::Answer,
                ..notice(0)
            }],
        ),
        (
            "a withdrawal",
            vec![NoticeFacts {
                kind: NoticeKind::Withdrawal,
                ..notice(0)
            }],
        ),
        (
            "booked from a portal",
            vec![NoticeFacts {
                delivery: None,
                ..notice(0)
            }],
        ),
        ("a later one was confirmed", vec![notice(0), acknowledged]),
    ] {
        let seen = Snapshot { notices, ..house() };
        assert_eq!(shown(&seen, at(999)), none(), "{name}");
    }
}

#[test]
fn what_does_not_get_through() {
    use NoticeState as S;
    let held = DeliveryState::Held {
        why: HoldReason::Revoked,
    };
    let doubt = |next| DeliveryState::InDoubt { since: at(1), next };
    let ready = DeliveryState::Ready { not_before: at(9) };
    let untried = NoticeFacts {
        tried_at: None,
        ..waiting(1, ready.clone(), S::Queued)
    };
    for (name, notice, after_minutes, wanted) in [
        (
            "refused",
            waiting(1, failed(1), S::Failed),
            0,
            Some("notice_failed now"),
        ),
        ("held", waiting(1, held, S::Held), 0, Some("notice_held now")),
        (
            "in doubt at the end",
            waiting(1, doubt(None), S::InDoubt),
            0,
            Some("notice_in_doubt now"),
        ),
        (
            "in doubt, tried again soon",
            waiting(1, doubt(Some(at(2))), S::InDoubt),
            29,
            None,
        ),
        (
            "in doubt for long",
            waiting(1, doubt(Some(at(2))), S::InDoubt),
            30,
            Some("notice_in_doubt now"),
        ),
        ("deferred", waiting(1, ready.clone(), S::Queued), 29, None),
        (
            "deferred for long",
            waiting(1, ready, S::Queued),
            30,
            Some("notice_delayed now"),
        ),
        ("never tried", untried, 999, None),
    ] {
        let mut seen = house();
        seen.breaches[0].deadline = None;
        seen.notices.push(notice);
        let now = minutes(60 + after_minutes);
        assert_eq!(shown(&seen, now), Vec::from_iter(wanted), "{name}");
        seen.notices.push(NoticeFacts {
            sequence: 2,
            acknowledgement: Expected::No,
            ..super::tests::notice(2)
        });
        assert_eq!(shown(&seen, now), none(), "{name}: a later notice made up for it");
    }
}

#[test]
fn a_question_is_told_at_once_and_when_its_answer_is_due() {
    let mut seen = house();
    seen.breaches.clear();
    seen.inquiries.push(Inquiry {
        mail: MailId::new(5),
        notice: notice(0).reference,
        breach: breach().id,
        authority: "lu-cnpd".into(),
        received_at: at(0),
        due: at(72),
        order: false,
        closed: None,
    });
    for (hours, wanted) in [
        (0, "inquiry_due now"),
        (47, "inquiry_due now"),
        (48, "inquiry_due 24h_before"),
        (72, "inquiry_due 24h_before"),
        (73, "inquiry_due passed"),
    ] {
        assert_eq!(shown(&seen, at(hours)), [wanted], "{hours}");
    }
}

#[test]
fn keys_end_in_five_stages() {
    let key = |authority: Option<&str>| KeyFacts {
        authority: authority.map(Into::into),
        fingerprint: "A".repeat(40),
        expires: Some(at(24 * 100)),
    };
    for (hours, wanted) in [
        (0, None),
        (24 * 10, Some("90d_before")),
        (24 * 70, Some("30d_before")),
        (24 * 93, Some("7d_before")),
        (24 * 99, Some("1d_before")),
        (24 * 100, Some("passed")),
        (24 * 200, Some("passed")),
    ] {
        for (whose, condition) in [(Some("lu-cnpd"), "certificate_expiring"), (None, "key_expiring")] {
            let mut seen = house();
            seen.breaches.clear();
            seen.keys.push(key(whose));
            let wanted = wanted.map(|stage| format!("{condition} {stage}"));
            assert_eq!(shown(&seen, at(hours)), Vec::from_iter(wanted), "{hours}");
            seen.keys[0].expires = None;
            assert_eq!(shown(&seen, at(hours)), none(), "no expiry is no defect");
        }
    }
}

#[test]
fn a_certificate_that_ends_while_the_delivery_goes_on() {
    let ready = DeliveryState::Ready { not_before: at(9) };
    let key = KeyFacts {
        authority: Some("lu-cnpd".into()),
        fingerprint: "A".repeat(40),
        expires: Some(at(5)),
    };
    for (name, filed, delivery, state, now, alarm) in [
        ("not yet", 1, ready.clone(), NoticeState::Queued, 4, false),
        ("ended", 1, ready.clone(), NoticeState::Queued, 5, true),
        // A person's decision: `--override expired`.
        ("had ended when it was filed", 6, ready, NoticeState::Queued, 7, false),
        ("has left", 1, handed(2), NoticeState::Handed, 9, false),
    ] {
        let mut seen = house();
        seen.notices.push(NoticeFacts {
            tried_at: None,
            ..waiting(filed, delivery, state)
        });
        seen.keys.push(key.clone());
        let has = shown(&seen, at(now)).contains(&"sealed_to_expired now".to_owned());
        assert_eq!(has, alarm, "{name}");
    }
}

#[test]
fn promised_days_are_counted_where_we_are() {
    let mut seen = house();
    seen.breaches[0].deadline = None;
    seen.breaches[0].update_due = "2026-11-20".parse().ok();
    for (now, wanted) in [
        ("2026-11-19T22:59:59Z", None),
        ("2026-11-19T23:00:00Z", Some("update_due due")),
        ("2026-11-20T22:59:59Z", Some("update_due due")),
        ("2026-11-20T23:00:00Z", Some("update_due passed")),
    ] {
        assert_eq!(shown(&seen, now.parse().unwrap()), Vec::from_iter(wanted), "{now}");
    }
}

#[test]
fn what_cannot_be_reached() {
    let note = |what: &str, since, fault: Option<&str>| HealthNote {
        what: what.into(),
        since: minutes(since),
        at: minutes(since.max(0) + 20),
        fault: fault.map(Into::into),
    };
    for (name, note, now, wanted) in [
        ("works", note("relay", 0, None), 30, None),
        ("just now", note("relay", 0, Some("refused")), 9, None),
        (
            "for ten minutes",
            note("relay", 0, Some("refused")),
            10,
            Some("unreachable now"),
        ),
        (
            "mailbox",
            note("mailbox", 0, Some("refused")),
            30,
            Some("unreachable now"),
        ),
        ("nobody asks any more", note("mailbox", 0, Some("refused")), 140, None),
        ("disk", note("disk", 0, Some("full")), 0, Some("disk_low now")),
        ("tray", note("tray", 0, Some("mail waits")), 0, Some("tray_waiting now")),
        ("clock", note("clock", 0, Some("set back")), 0, Some("clock_skew now")),
        (
            "clocks of others",
            note("clock:webhooks", 0, Some("differ")),
            0,
            Some("clock_skew now"),
        ),
    ] {
        let mut seen = house();
        seen.breaches.clear();
        seen.health.push(note);
        assert_eq!(shown(&seen, minutes(now)), Vec::from_iter(wanted), "{name}");
    }
    let mut seen = house();
    seen.breaches.clear();
    seen.paused.push(CampaignId::new(3));
    seen.held.push(CampaignId::new(3));
    seen.put_off.push(CampaignId::new(4));
    seen.unfinished.push((CampaignId::new(5), at(-800)));
    assert_eq!(
        shown(&seen, at(0)),
        [
            "campaign_paused now",
            "persons_held now",
            "persons_waiting now",
            "campaign_unfinished now"
        ]
    );
}

proptest! {
    /// Whatever the order of the looks, each stage has one key, and two stages never share one.
    #[test]
    fn a_stage_has_one_key(times in proptest::collection::vec(0..(80 * 60i64), 1..40)) {
        let mut stages = std::collections::BTreeMap::new();
        for minute in times {
            for alarm in holding(&house(), minutes(minute)) {
                let key = alarm.key();
                let stage = stages.entry(alarm.stage.to_string()).or_insert_with(|| key.clone());
                prop_assert_eq!(&*stage, &key);
            }
        }
        let keys: std::collections::BTreeSet<_> = stages.values().collect();
        prop_assert_eq!(keys.len(), stages.len());
    }
}
