//! Persons told by another channel: whom a row of a list names, and that nobody is told again.

use breachpost::model::delivery::Outcome;
use breachpost::model::id::{CampaignId, DeliveryId};
use breachpost::model::recipient::PersonKey;
use breachpost::store::{
    Campaigns, ListTarget, Lists, NewList, NewPerson, OtherChannel, Outbox, Reach, Store, Tally, WhoTold, Whom,
};
use serde_json::json;

use crate::bed::{
    Bed, accepted, add_breach, add_campaign, anna, approve, at, claim, deferred, done, in_doubt, intact, list, person,
    put_on_wire, retries, row, run_campaign, state, worker,
};

/// A person of this name at this address, without a number of the controller.
fn named(address: &str, name: &str) -> NewPerson {
    NewPerson {
        key: PersonKey::of_name(address, name),
        address: address.to_owned(),
        fields: [("name", name)].into_iter().collect(),
        ..person(0)
    }
}
fn at_address(address: &str, name: Option<&str>) -> WhoTold {
    WhoTold::At {
        address: address.to_owned(),
        name: name.map(str::to_owned),
    }
}
async fn tell(store: &impl Store, campaign: CampaignId, who: WhoTold) -> u64 {
    let by = anna();
    let told = store.tell_otherwise(campaign, vec![who], OtherChannel::Phone, &by, at(5));
    told.await.unwrap()[0]
}

/// Different names at one address are different persons: a call to one does not tell the other.
pub async fn a_shared_address_names_nobody_alone(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let persons = vec![
        named("fam@example.org", "Anna Weber"),
        named("fam@example.org", "Ben Weber"),
        named("solo@example.org", "Carla Muller"),
        NewPerson {
            fields: Default::default(),
            ..named("bare@example.org", "")
        },
    ];
    let campaign = add_campaign(&store, breach, persons).await;
    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(0)).await.unwrap();
    let told = async || {
        let found = store.find_by_address("fam@example.org").await.unwrap();
        found
            .iter()
            .map(|person| person.told_otherwise.is_some())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        tell(&store, campaign, at_address("fam@example.org", None)).await,
        2,
        "it may be either"
    );
    assert_eq!(told().await, [false, false], "so neither is booked");
    assert_eq!(store.counted(campaign).await.unwrap().2.by_phone, 0);
    let stranger = at_address("fam@example.org", Some("Zoe Weber"));
    assert_eq!(tell(&store, campaign, stranger).await, 0);
    let anna_weber = at_address("FAM@Example.org", Some("anna WEBER"));
    assert_eq!(tell(&store, campaign, anna_weber.clone()).await, 1);
    assert_eq!(told().await, [true, false]);
    assert_eq!(tell(&store, campaign, anna_weber).await, 1, "twice is once");
    for who in [
        at_address("solo@example.org", None),
        at_address("bare@example.org", Some("Dan Klein")),
    ] {
        assert_eq!(tell(&store, campaign, who).await, 1, "nobody else is meant");
    }
    let claimed = claim(&store, worker(1), 9, at(6)).await;
    let names: Vec<_> = claimed.iter().map(|claim| claim.delivery).collect();
    assert_eq!(names, [DeliveryId::new(2)], "only whom nobody told is written to");
    intact(&store).await;
}

/// With numbers of the controller and without, among many, in whatever spelling.
pub async fn persons_are_found_by_address_whatever_their_key(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let content = json!({});
    for (mark, meanings) in [('x', vec!["email"]), ('y', vec!["email", "person_id"])] {
        let columns: Vec<_> = meanings.iter().map(|meaning| json!({ "meaning": meaning })).collect();
        let fresh = ListTarget::Fresh {
            breach,
            content: content.clone(),
        };
        let new = NewList {
            facts: json!({ "columns": columns }),
            ..list(fresh, mark, 60)
        };
        let open = store.begin_list(new, &anna(), at(0)).await.unwrap();
        let of = |n: usize| match mark {
            'x' => named(&format!("person{}@example.org", n / 2), &format!("Person {n}")),
            _ => NewPerson {
                address: format!("person{}@example.org", n / 2),
                ..person(n)
            },
        };
        let rows = (0..60).map(|n| row(of(n))).collect();
        store.add_rows(open.list, 0, rows, &anna(), at(0)).await.unwrap();
        store.end_list(open.list, &anna(), at(0)).await.unwrap();
    }
    let found = store.find_by_address("Person7@EXAMPLE.org").await.unwrap();
    let deliveries: Vec<_> = found.iter().map(|person| person.delivery).collect();
    assert_eq!(deliveries, [15, 16, 75, 76].map(DeliveryId::new));
    assert_eq!(store.find_by_address("person99@example.org").await.unwrap(), []);
    intact(&store).await;
}

/// Whatever had become of the message by then: it is not sent afterwards, and what may have left is not forgotten.
pub async fn whoever_is_told_otherwise_gets_no_mail_afterwards(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 7).await;
    let now = at(1);
    let mut on_wire = Vec::new();
    for _ in 0..5 {
        on_wire.push(put_on_wire(&store, worker(1), now).await);
    }
    let [doubtful, put_off, unknown, taken, dead] = &on_wire[..] else {
        panic!("five")
    };
    store.step(vec![done(doubtful, in_doubt())], vec![], now).await.unwrap();
    let leased = claim(&store, worker(2), 1, now).await.remove(0);
    let waits = Whom::Delivery(DeliveryId::new(7));
    let all = on_wire
        .iter()
        .chain([&leased])
        .map(|claim| Whom::Delivery(claim.delivery));
    for whom in all.chain([waits]) {
        assert_eq!(tell(&store, campaign, WhoTold::Whom(whom)).await, 1);
    }
    let lost = store.step(vec![], vec![leased.clone()], at(6)).await.unwrap();
    assert_eq!(lost.len(), 1, "what was claimed does not leave any more");
    let outcomes = [(put_off, deferred()), (unknown, in_doubt()), (taken, accepted())];
    for (claim, outcome) in outcomes {
        store.step(vec![done(claim, outcome)], vec![], at(7)).await.unwrap();
    }
    store.recover(&[worker(1)], &retries(), at(8)).await.unwrap();
    assert_eq!(state(&store, dead.delivery).await, "in_doubt");
    let wanted = Tally {
        cancelled: 3,
        in_doubt: 3,
        handed: 1,
        possibly_twice: 3,
        ..Tally::default()
    };
    assert_eq!(store.tally(campaign).await.unwrap(), wanted);
    assert!(claim(&store, worker(1), 9, at(999_999)).await.is_empty());
    store.settle_campaign(campaign, at(99), &anna(), at(9)).await.unwrap();
    intact(&store).await;
}

/// A message that may have left and is tried again is still in doubt when its person is told meanwhile.
pub async fn doubt_stays_when_the_person_is_told(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 2).await;
    for _ in 0..2 {
        let sent = put_on_wire(&store, worker(1), at(1)).await;
        store.step(vec![done(&sent, in_doubt())], vec![], at(1)).await.unwrap();
    }
    let again = claim(&store, worker(1), 9, at(9_999)).await;
    store.step(vec![], vec![again[0].clone()], at(9_999)).await.unwrap();
    for claim in &again {
        tell(&store, campaign, WhoTold::Whom(Whom::Delivery(claim.delivery))).await;
    }
    let outcome: Outcome = deferred();
    store
        .step(vec![done(&again[0], outcome)], vec![], at(9_999))
        .await
        .unwrap();
    let tally = store.tally(campaign).await.unwrap();
    assert_eq!((tally.in_doubt, tally.cancelled), (2, 0));
    assert!(claim(&store, worker(1), 9, at(999_999)).await.is_empty());
    intact(&store).await;
}
