//! The pace of mail to persons, slow domains and the error budget.

use std::collections::BTreeMap;

use breachpost::model::Time;
use breachpost::model::campaign::CampaignState;
use breachpost::model::delivery::{Fault, FaultCause, Outcome, RetryPolicy, SmtpReply, SmtpStep};
use breachpost::model::id::CampaignId;
use breachpost::model::pace::Pace;
use breachpost::store::{Campaigns, Claim, Claimed, Done, Notices, Outbox, Store, Which};
use chrono::TimeDelta;

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, done, intact, lease, notice, person, retries,
    run_campaign, worker,
};

const NO_LIMIT: Pace = Pace {
    per_second: None,
    per_domain_per_second: None,
    per_day: None,
};

async fn claimed(store: &impl Store, most: u32, pace: Pace, now: Time) -> Claimed {
    let which = Which::Persons(pace);
    store.claim(worker(1), most, which, now, lease()).await.unwrap()
}
async fn claim(store: &impl Store, most: u32, pace: Pace, now: Time) -> Vec<Claim> {
    claimed(store, most, pace, now).await.claims
}
fn millis(millis: i64) -> Time {
    at(0) + TimeDelta::milliseconds(millis)
}

/// A running campaign with so many persons at each of these domains.
async fn run_at_domains(store: &impl Store, domains: &[(&str, usize)]) -> CampaignId {
    let breach = add_breach(store).await;
    let of = |(domain, count): &(&str, usize)| {
        let domain = (*domain).to_owned();
        (0..*count).map(move |n| (domain.clone(), n)).collect::<Vec<_>>()
    };
    let persons = domains.iter().flat_map(of).enumerate().map(|(number, (domain, n))| {
        let mut person = person(number);
        person.address = format!("p{n}@{domain}");
        person.domain = domain;
        person
    });
    let campaign = add_campaign(store, breach, persons.collect()).await;
    approve(store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();
    campaign
}
fn by_domain(claims: &[Claim]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for claim in claims {
        let (_, domain) = claim.recipient.rsplit_once('@').unwrap();
        *counts.entry(domain.to_owned()).or_default() += 1;
    }
    counts
}
fn says(step: SmtpStep, code: u16, enhanced: &str) -> Fault {
    let cause = FaultCause::Reply(SmtpReply {
        code,
        enhanced: Some(enhanced.to_owned()),
        text: "as the server says".to_owned(),
    });
    Fault { step, cause }
}
/// Puts claims on the wire and stores the same outcome for each.
async fn tried(store: &impl Store, claims: &[Claim], outcome: &Outcome, now: Time) {
    assert_eq!(store.step(vec![], claims.to_vec(), now).await.unwrap(), []);
    // The next try of a person comes soon: what holds it back is the domain.
    let retry = RetryPolicy {
        first: TimeDelta::seconds(60),
        max: TimeDelta::minutes(4),
        until: None,
    };
    let done = |claim: &Claim| Done {
        retry: retry.clone(),
        ..done(claim, outcome.clone())
    };
    store
        .step(claims.iter().map(done).collect(), vec![], now)
        .await
        .unwrap();
}

pub async fn two_processes_share_one_rate(bed: &impl Bed) {
    let stores = [bed.open(), bed.open()];
    run_campaign(&stores[0], 300).await;
    let pace = Pace {
        per_second: Some(20.0),
        ..NO_LIMIT
    };
    let mut sent = 0;
    for tick in 0..100 {
        for store in &stores {
            sent += claim(store, 50, pace, millis(tick * 50)).await.len();
        }
    }
    assert!((98..=101).contains(&sent), "{sent} in five seconds at 20 a second");
    let store = bed.open();
    assert!(
        claim(&store, 9, pace, millis(4_950)).await.is_empty(),
        "a restart forgets nothing"
    );
    let more = claimed(&store, 9, pace, millis(5_000)).await;
    assert_eq!(more.claims.len(), 1);
    assert_eq!(more.again, Some(millis(5_050)), "the next may leave then");
    intact(&store).await;
}

pub async fn the_limit_of_a_day_is_reached_and_not_passed(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 50).await;
    let pace = a_day(20);
    // Claims what it may and says how many; all of them are accepted.
    let sent = async |store: &_, most, now| {
        let claims = claim(store, most, pace, at(now)).await;
        tried(store, &claims, &accepted(), at(now)).await;
        claims.len()
    };
    assert_eq!(sent(&store, 15, 0).await, 15);
    assert_eq!(sent(&store, 15, 3_600).await, 5);
    drop(store);
    let store = bed.open();
    let day = 24 * 3_600;
    let held = claimed(&store, 15, pace, at(day - 1)).await;
    assert!(held.claims.is_empty(), "within 24 hours of the first");
    assert!(
        held.again
            .is_some_and(|again| again > at(day - 1) && again <= at(day + 601)),
        "{held:?}"
    );
    // Who only looks is told the same, and may ask for another number.
    let full = async |store: &_, per_day, now| Outbox::day_full_until(store, per_day, at(now)).await.unwrap();
    assert_eq!(full(&store, 20, day - 1).await, held.again);
    assert_eq!(full(&store, 21, day - 1).await, None);
    assert_eq!(full(&store, 20, day + 601).await, None);
    let second = full(&store, 5, day - 1).await;
    assert!(
        second > Some(at(day + 3_600)) && second <= Some(at(day + 3_600 + 601)),
        "the first fifteen are not enough: {second:?}"
    );
    assert_eq!(sent(&store, 20, day + 601).await, 15, "what left a day ago");
    assert_eq!(sent(&store, 20, day + 601).await, 0);
    assert_eq!(sent(&store, 20, day + 3_600 + 601).await, 5);
    intact(&store).await;
}

fn a_day(per_day: u64) -> Pace {
    Pace {
        per_day: Some(per_day),
        ..NO_LIMIT
    }
}

pub async fn a_day_is_not_spent_on_what_did_not_leave(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 50).await;
    let pace = a_day(10);
    // Given back, put off before and after the mark, refused, and what this side could not write: nothing has left.
    let claims = claim(&store, 50, pace, at(0)).await;
    assert_eq!(claims.len(), 10);
    let full = claimed(&store, 50, pace, at(0)).await;
    assert!(full.claims.is_empty(), "all of the day may be under way");
    assert_eq!(full.again, Some(at(1)), "which is soon known");
    store.release(claims, at(0)).await.unwrap();
    let fault = |step| says(step, 450, "4.3.0");
    let claims = claim(&store, 50, pace, at(1)).await;
    let no_line = Outcome::Deferred {
        fault: fault(SmtpStep::Connect),
    };
    let done = claims.iter().map(|claim| done(claim, no_line.clone())).collect();
    store.step(done, vec![], at(1)).await.unwrap();
    for outcome in [
        Outcome::Deferred {
            fault: fault(SmtpStep::Rcpt),
        },
        Outcome::Refused {
            fault: says(SmtpStep::Rcpt, 550, "5.1.1"),
        },
    ] {
        let claims = claim(&store, 50, pace, at(2)).await;
        assert_eq!(claims.len(), 10, "{outcome:?}");
        tried(&store, &claims, &outcome, at(2)).await;
    }
    // A worker dies with three on the wire: those may have left, the others have not.
    let claims = claim(&store, 50, pace, at(3)).await;
    assert_eq!(claims.len(), 10);
    store.step(vec![], claims[..3].to_vec(), at(3)).await.unwrap();
    store.recover(&[worker(1)], &retries(), at(4)).await.unwrap();
    let claims = claim(&store, 50, pace, at(5)).await;
    assert_eq!(claims.len(), 7);
    tried(&store, &claims, &accepted(), at(5)).await;
    assert!(
        claim(&store, 50, pace, at(3_600)).await.is_empty(),
        "now the day is full"
    );
    intact(&store).await;
}

pub async fn a_clock_set_back_costs_one_day_and_no_more(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 50).await;
    let (pace, day) = (a_day(10), 24 * 3_600);
    let claims = claim(&store, 50, pace, at(30 * day)).await;
    tried(&store, &claims, &accepted(), at(30 * day)).await;
    let held = claimed(&store, 50, pace, at(100)).await;
    assert!(held.claims.is_empty(), "they left in these 24 hours, for all we know");
    assert_eq!(store.day_full_until(10, at(100)).await.unwrap(), held.again);
    assert!(
        held.again.is_some_and(|again| again <= at(day + 701)),
        "and a day later they count no more: {held:?}"
    );
    assert_eq!(claim(&store, 50, pace, at(day + 701)).await.len(), 10);
    intact(&store).await;
}

pub async fn each_domain_has_its_own_rate(bed: &impl Bed) {
    let store = bed.open();
    run_at_domains(
        &store,
        &[("large.example", 100), ("other.example", 100), ("small.example", 1)],
    )
    .await;
    let pace = Pace {
        per_domain_per_second: Some(2.0),
        ..NO_LIMIT
    };
    let mut sent = Vec::new();
    for tick in 0..100 {
        sent.extend(claim(&store, 50, pace, millis(tick * 100)).await);
    }
    let counts = by_domain(&sent);
    assert_eq!(counts["small.example"], 1);
    for domain in ["large.example", "other.example"] {
        assert!(
            (19..=21).contains(&counts[domain]),
            "{counts:?} in ten seconds at 2 a second"
        );
    }
    intact(&store).await;
}

pub async fn no_pace_holds_a_notice_back(bed: &impl Bed) {
    let store = bed.open();
    run_campaign(&store, 9).await;
    let pace = Pace {
        per_second: Some(0.001),
        per_day: Some(1),
        ..NO_LIMIT
    };
    assert_eq!(claim(&store, 9, pace, at(0)).await.len(), 1);
    assert!(claim(&store, 9, pace, at(1)).await.is_empty());
    let breach = add_breach(&store).await;
    store.file_notice(notice(breach, 1), &anna(), at(1)).await.unwrap();
    let claims = store.claim(worker(1), 9, Which::Notices, at(1), lease()).await.unwrap();
    assert_eq!((claims.claims.len(), claims.again), (1, None));
    intact(&store).await;
}

pub async fn a_domain_that_puts_us_off_is_slowed_alone(bed: &impl Bed) {
    let store = bed.open();
    run_at_domains(&store, &[("busy.example", 40), ("good.example", 40)]).await;
    let first = claim(&store, 10, NO_LIMIT, at(0)).await;
    assert_eq!(
        by_domain(&first),
        [("busy.example".to_owned(), 10)].into(),
        "in the order of the list"
    );
    let later = Outcome::Deferred {
        fault: says(SmtpStep::Rcpt, 450, "4.7.1"),
    };
    tried(&store, &first, &later, at(0)).await;
    let others = claim(&store, 50, NO_LIMIT, at(30)).await;
    assert_eq!(
        by_domain(&others),
        [("good.example".to_owned(), 40)].into(),
        "the others go on"
    );

    // When the wait has ended, one message tries, and decides for all; each time it fails, the wait doubles to its limit.
    let mut now = 60;
    for wait in [120, 240, 240] {
        let probe = claim(&store, 50, NO_LIMIT, at(now)).await;
        assert_eq!(by_domain(&probe), [("busy.example".to_owned(), 1)].into());
        assert!(
            claim(&store, 50, NO_LIMIT, at(now + 1)).await.is_empty(),
            "nobody else meanwhile"
        );
        tried(&store, &probe, &later, at(now)).await;
        assert!(
            claim(&store, 50, NO_LIMIT, at(now + wait - 1)).await.is_empty(),
            "{wait}"
        );
        now += wait;
    }
    let probe = claim(&store, 50, NO_LIMIT, at(now)).await;
    tried(&store, &probe, &accepted(), at(now)).await;
    assert_eq!(
        claim(&store, 50, NO_LIMIT, at(now + 1)).await.len(),
        39,
        "all at once again"
    );
    intact(&store).await;
}

/// The probe's own trouble is the person's: the domain speaks to us again. Greylisting defers each new one once.
pub async fn a_domain_that_puts_off_single_persons_is_slow_no_more(bed: &impl Bed) {
    let store = bed.open();
    run_at_domains(&store, &[("busy.example", 40)]).await;
    let later = |step, enhanced| Outcome::Deferred {
        fault: says(step, 450, enhanced),
    };
    let mut now = 0;
    for answer in [later(SmtpStep::Rcpt, "4.2.0"), later(SmtpStep::FinalDot, "4.2.2")] {
        let first = claim(&store, 1, NO_LIMIT, at(now)).await;
        tried(&store, &first, &later(SmtpStep::Rcpt, "4.7.1"), at(now)).await;
        assert!(claim(&store, 9, NO_LIMIT, at(now)).await.is_empty());
        now += 60;
        let probe = claim(&store, 9, NO_LIMIT, at(now)).await;
        assert_eq!(probe.len(), 1);
        tried(&store, &probe, &answer, at(now)).await;
        let others = claim(&store, 9, NO_LIMIT, at(now)).await;
        assert_eq!(others.len(), 9, "all at once again");
        tried(&store, &others, &accepted(), at(now)).await;
    }
    intact(&store).await;
}

/// The domain of a person is kept as the name system knows it, the address as it was written.
pub async fn however_an_address_is_written_its_domain_recovers(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let written = |(number, at): (usize, &str)| {
        let mut person = person(number);
        person.address = format!("p{number}@{at}");
        person.domain = "xn--bcher-kva.example".to_owned();
        person
    };
    let spellings = ["B\u{fc}cher.Example", "XN--BCHER-KVA.example"];
    let persons = spellings.into_iter().cycle().take(10).enumerate();
    let campaign = add_campaign(&store, breach, persons.map(written).collect()).await;
    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();
    let first = claim(&store, 1, NO_LIMIT, at(0)).await;
    let later = Outcome::Deferred {
        fault: says(SmtpStep::Rcpt, 450, "4.7.1"),
    };
    tried(&store, &first, &later, at(0)).await;
    let probe = claim(&store, 9, NO_LIMIT, at(60)).await;
    assert_eq!(probe.len(), 1);
    tried(&store, &probe, &accepted(), at(60)).await;
    assert_eq!(claim(&store, 9, NO_LIMIT, at(61)).await.len(), 9, "all at once again");
    intact(&store).await;
}

pub async fn what_is_not_the_domains_fault_slows_no_domain(bed: &impl Bed) {
    let store = bed.open();
    run_at_domains(&store, &[("good.example", 40)]).await;
    for (n, fault) in [
        says(SmtpStep::Mail, 451, "4.3.0"),
        says(SmtpStep::Greeting, 421, "4.7.0"),
        says(SmtpStep::Rcpt, 452, "4.2.2"),
        says(SmtpStep::FinalDot, 452, "4.3.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let now = at(n as i64);
        let claims = claim(&store, 5, NO_LIMIT, now).await;
        tried(&store, &claims, &Outcome::Deferred { fault: fault.clone() }, now).await;
        assert_eq!(claim(&store, 5, NO_LIMIT, now).await.len(), 5, "{fault}");
    }
    intact(&store).await;
}

pub async fn refusals_of_us_pause_the_campaign(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 400).await;
    let spend = async || store.spend_budget(campaign, 0.05, &anna(), at(1)).await.unwrap();
    let refused = |enhanced| Outcome::Refused {
        fault: says(SmtpStep::Rcpt, 550, enhanced),
    };
    // Unknown persons and full mailboxes, however many, say nothing about us.
    let claims = claim(&store, 150, NO_LIMIT, at(0)).await;
    tried(&store, &claims[..100], &refused("5.1.1"), at(0)).await;
    tried(&store, &claims[100..], &refused("5.2.2"), at(0)).await;
    assert_eq!(spend().await, None);
    // Now 150 outcomes: eight are more than one in twenty, seven are less.
    let claims = claim(&store, 10, NO_LIMIT, at(1)).await;
    tried(&store, &claims[..7], &refused("5.7.1"), at(1)).await;
    assert_eq!(spend().await, None);
    tried(&store, &claims[7..], &refused("5.7.1"), at(1)).await;
    let why = spend().await.expect("the budget is spent");
    assert!(
        why.starts_with("10 of the last 160 answers") && why.contains("550 5.7.1"),
        "{why}"
    );
    let found = store.find_campaign(campaign).await.unwrap().unwrap();
    assert_eq!(found.state, CampaignState::Paused { why, starts: None });
    assert!(claim(&store, 10, NO_LIMIT, at(2)).await.is_empty());
    // Whoever resumes it has seen them: they do not count twice.
    store.resume(campaign, &anna(), at(3)).await.unwrap();
    let claims = claim(&store, 1, NO_LIMIT, at(4)).await;
    tried(&store, &claims, &refused("5.7.1"), at(4)).await;
    assert_eq!(spend().await, None);
    intact(&store).await;
}
