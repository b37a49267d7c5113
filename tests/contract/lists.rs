//! Lists on their way into a campaign: nobody is in twice, nobody is lost, and the counts always add up.

use breachpost::model::id::{BadRowId, CampaignId};
use breachpost::model::recipient::{Flags, PersonKey, Reason};
use breachpost::store::{
    Campaigns, ListTarget, Lists, NewBadRow, NewRow, RowContent, RowCounts, Store, StoreError, Work,
};
use serde_json::json;

use crate::bed::{
    Bed, add_breach, add_campaign, anna, approve, at, claim, conflict, intact, list, person, row, run_campaign, worker,
};

fn counts(valid: u64, duplicates: u64, invalid: u64) -> RowCounts {
    RowCounts {
        rows: valid + duplicates + invalid,
        valid,
        duplicates,
        invalid,
    }
}

/// A row that names nobody who can be written to.
pub fn bad(number: u64, key: Option<PersonKey>) -> NewRow {
    NewRow {
        corrects: None,
        content: RowContent::Bad(Box::new(NewBadRow {
            key,
            row: number,
            line: Some(number + 1),
            column: Some("email".into()),
            reason: Reason::AddressWithoutAt,
            cells: vec!["nowhere".into()],
            fields: [("order", number.to_string())].into_iter().collect(),
        })),
    }
}

/// Adds a list to a campaign and ends it.
async fn add(store: &impl Store, campaign: CampaignId, mark: char, rows: Vec<NewRow>) -> RowCounts {
    let new = list(ListTarget::Draft(campaign), mark, rows.len() as u64);
    let open = store.begin_list(new, &anna(), at(0)).await.unwrap();
    let counts = store.add_rows(open.list, 0, rows, &anna(), at(0)).await.unwrap();
    store.end_list(open.list, &anna(), at(0)).await.unwrap();
    assert_eq!(store.row_counts(campaign).await.unwrap(), counts);
    assert_eq!(
        store.tally(campaign).await.unwrap().ready,
        counts.valid,
        "one delivery a person"
    );
    counts
}

pub async fn the_same_person_counts_once(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = add_campaign(&store, breach, vec![person(1), person(2), person(1)]).await;
    assert_eq!(store.row_counts(campaign).await.unwrap(), counts(2, 1, 0));
    let more = vec![row(person(2)), row(person(3))];
    assert_eq!(add(&store, campaign, 'b', more).await, counts(3, 2, 0));
    let mut spouse = person(9);
    spouse.address = person(1).address;
    let shared = add(&store, campaign, 'c', vec![row(spouse)]).await;
    assert_eq!(shared, counts(4, 2, 0), "two persons may share a mailbox");
    let other = add_campaign(&store, breach, vec![person(1)]).await;
    assert_eq!(
        store.row_counts(other).await.unwrap(),
        counts(1, 0, 0),
        "another campaign tells the same person something else"
    );
    intact(&store).await;
}

pub async fn rows_of_one_person_are_united(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let order = |n: usize| {
        let mut person = person(1);
        person.fields.add("order", n.to_string());
        person
    };
    let campaign = add_campaign(&store, breach, (0..10_000).map(order).collect()).await;
    assert_eq!(store.row_counts(campaign).await.unwrap(), counts(1, 9_999, 0));
    let persons = store.person_counts(campaign).await.unwrap();
    let left_out = Flags::ALL
        .iter()
        .position(|(flag, _, _)| *flag == Flags::VALUES_LEFT_OUT);
    assert_eq!(persons.flags[left_out.unwrap()], 1, "said, not hidden");
    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(1)).await.unwrap();
    let claimed = claim(&store, worker(1), 9, at(2)).await;
    let Work::Person { fields, .. } = &claimed[0].work else {
        panic!("a person's message");
    };
    let orders = fields["order"].as_array().unwrap();
    assert_eq!(
        (&orders[0], &orders[99], orders.len()),
        (&json!("0"), &json!("99"), 100)
    );
    intact(&store).await;
}

pub async fn a_list_that_was_cut_off_goes_on(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let fresh = || {
        let content = json!({ "a": 1 });
        list(ListTarget::Fresh { breach, content }, 'a', 3)
    };
    let begun = store.begin_list(fresh(), &anna(), at(0)).await.unwrap();
    let first = vec![row(person(1)), bad(3, None)];
    store.add_rows(begun.list, 0, first, &anna(), at(0)).await.unwrap();
    let state = || async { store.find_campaign(begun.campaign).await.unwrap().unwrap().state.name() };
    assert_eq!(state().await, "importing");
    // Not before all are in.
    conflict(store.start(begun.campaign, &anna(), at(1)).await);
    // A row is missing.
    conflict(store.end_list(begun.list, &anna(), at(1)).await);
    assert!(claim(&store, worker(1), 9, at(999)).await.is_empty());

    // As after a crash: another process, the same list.
    let store_again = bed.open();
    let again = store_again.begin_list(fresh(), &anna(), at(2)).await.unwrap();
    assert_eq!(
        (again.campaign, again.list, again.done),
        (begun.campaign, begun.list, 2)
    );
    let rest = vec![row(person(1))];
    let all = store_again.add_rows(again.list, 2, rest, &anna(), at(2)).await.unwrap();
    assert_eq!(all, counts(1, 1, 1));
    store_again.end_list(again.list, &anna(), at(3)).await.unwrap();
    assert_eq!(state().await, "draft");
    let [stored] = store.lists(begun.campaign).await.unwrap().try_into().unwrap();
    assert_eq!((stored.rows, stored.rows_done, stored.ended_at), (3, 3, Some(at(3))));

    // Complete: the same list makes another campaign, and is refused for the one that has it.
    let other = store.begin_list(fresh(), &anna(), at(4)).await.unwrap();
    assert!(other.campaign != begun.campaign && other.done == 0);
    let twice = list(ListTarget::Draft(begun.campaign), 'a', 3);
    let twice = store.begin_list(twice, &anna(), at(4)).await;
    conflict(twice);
    intact(&store).await;
}

pub async fn two_processes_do_not_import_the_same_rows(bed: &impl Bed) {
    let (one, other) = (bed.open(), bed.open());
    let breach = add_breach(&one).await;
    let fresh = || {
        let content = json!({});
        list(ListTarget::Fresh { breach, content }, 'a', 2)
    };
    let mine = one.begin_list(fresh(), &anna(), at(0)).await.unwrap();
    let theirs = other.begin_list(fresh(), &anna(), at(0)).await.unwrap();
    assert_eq!(mine, theirs);
    let rows = || vec![row(person(1))];
    let by = anna();
    let (mine, theirs) = tokio::join!(
        one.add_rows(mine.list, 0, rows(), &by, at(1)),
        other.add_rows(theirs.list, 0, rows(), &by, at(1)),
    );
    assert!(mine.is_ok() != theirs.is_ok(), "{mine:?} {theirs:?}");
    let refused = mine.err().or(theirs.err());
    assert!(matches!(refused, Some(StoreError::Conflict { .. })), "{refused:?}");
    intact(&one).await;
}

pub async fn a_started_campaign_takes_no_more_persons(bed: &impl Bed) {
    let store = bed.open();
    let campaign = run_campaign(&store, 1).await;
    let late = list(ListTarget::Draft(campaign), 'z', 1);
    let late = store.begin_list(late, &anna(), at(9)).await;
    conflict(late);
    assert_eq!(store.tally(campaign).await.unwrap().ready, 1);
    intact(&store).await;
}

pub async fn a_corrected_row_takes_the_place_of_the_bad_one(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let campaign = add_campaign(&store, breach, vec![person(1)]).await;
    assert_eq!(
        add(&store, campaign, 'b', vec![bad(2, None), bad(3, None)]).await,
        counts(1, 0, 2)
    );
    let [first, second] = store
        .list_bad_rows(campaign, None, 9)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!((first.row, first.line, first.cells.len()), (2, Some(3), 1));
    assert_eq!(
        store.list_bad_rows(campaign, Some(first.id), 9).await.unwrap(),
        std::slice::from_ref(&second)
    );
    assert_eq!(store.bad_row_reasons(campaign).await.unwrap()["address_without_at"], 2);

    let correcting = |corrects: BadRowId, content: RowContent| NewRow {
        corrects: Some(corrects),
        content,
    };
    let corrected = vec![
        correcting(first.id, row(person(2)).content),
        correcting(second.id, bad(3, None).content),
        // Once more, as when a file is added that was corrected twice: a further row.
        correcting(first.id, row(person(2)).content),
    ];
    assert_eq!(add(&store, campaign, 'c', corrected).await, counts(2, 1, 1));

    let other = add_campaign(&store, breach, vec![person(1)]).await;
    let [still] = store
        .list_bad_rows(campaign, None, 9)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    let foreign = vec![correcting(still.id, row(person(3)).content)];
    add(&store, other, 'd', foreign).await;
    assert_eq!(
        store.row_counts(campaign).await.unwrap().invalid,
        1,
        "another campaign's row stays"
    );

    // What still cannot be used keeps its id, and the same row, corrected further, takes its place.
    let again = vec![correcting(still.id, bad(77, None).content)];
    let before = store.row_counts(campaign).await.unwrap();
    assert_eq!(add(&store, campaign, 'e', again).await, before);
    let rows = store.list_bad_rows(campaign, None, 9).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.id, row.row)).collect::<Vec<_>>(),
        [(still.id, 77)]
    );

    // A row that corrects what is gone would add somebody, unless its person is known.
    let known = |n: usize| Some(person(n).key);
    let asked = vec![
        (first.id, known(2)),
        (first.id, known(9)),
        (still.id, None),
        (first.id, None),
    ];
    assert_eq!(store.find_astray(campaign, asked.clone()).await.unwrap(), [1, 3]);
    assert_eq!(store.find_astray(other, asked).await.unwrap(), [0, 1, 2, 3]);
    intact(&store).await;
}

pub async fn a_person_reached_at_another_address_is_no_bad_row(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let key = |n: usize| Some(person(n).key);
    let campaign = add_campaign(&store, breach, vec![person(1)]).await;
    // Known already; twice unusable; unusable first and usable then.
    let rows = vec![
        bad(2, key(1)),
        bad(3, key(2)),
        bad(4, key(2)),
        bad(5, key(3)),
        row(person(3)),
    ];
    assert_eq!(add(&store, campaign, 'b', rows).await, counts(2, 3, 1));
    approve(&store, campaign).await;
    store.start(campaign, &anna(), at(1)).await.unwrap();
    let claimed = claim(&store, worker(1), 9, at(2)).await;
    let orders = claimed.iter().map(|claim| match &claim.work {
        Work::Person { fields, .. } => fields["order"].clone(),
        Work::Notice { .. } => panic!("a person's message"),
    });
    assert_eq!(
        orders.collect::<Vec<_>>(),
        [json!(["2"]), json!(["5"])],
        "the message names the data of all their rows"
    );
    intact(&store).await;
}

pub async fn a_list_that_changed_is_given_up(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let content = json!({});
    let new = list(ListTarget::Fresh { breach, content }, 'a', 5);
    let open = store.begin_list(new, &anna(), at(0)).await.unwrap();
    store
        .add_rows(open.list, 0, vec![row(person(1))], &anna(), at(0))
        .await
        .unwrap();
    store.abandon_list(open.list, &anna(), at(1)).await.unwrap();
    assert_eq!(
        store.find_campaign(open.campaign).await.unwrap().unwrap().state.name(),
        "cancelled"
    );
    conflict(store.start(open.campaign, &anna(), at(2)).await);
    let late = store.add_rows(open.list, 1, vec![row(person(2))], &anna(), at(2)).await;
    conflict(late);
    intact(&store).await;
}

pub async fn persons_are_counted_by_what_reports_need(bed: &impl Bed) {
    let store = bed.open();
    let breach = add_breach(&store).await;
    let people = (0..30).map(|n| {
        let mut one = person(n);
        one.language = if n < 10 { "fr".into() } else { String::new() };
        one.country = (n < 5).then(|| "LU".into());
        one.domain = format!("d{}.example", n % 12);
        if n == 7 {
            one.flags.set(Flags::ROLE);
        }
        // Three persons share an address.
        if n >= 27 {
            one.key = PersonKey::of_name("home@example.org", &n.to_string());
        }
        one
    });
    let campaign = add_campaign(&store, breach, people.collect()).await;
    add_campaign(&store, breach, vec![person(1)]).await;
    let counted = store.person_counts(campaign).await.unwrap();
    assert_eq!(json!(counted.languages), json!({ "": 20, "fr": 10 }));
    assert_eq!(json!(counted.countries), json!({ "": 25, "LU": 5 }));
    assert_eq!(counted.domains.len(), 10);
    assert_eq!(counted.domains[0], ("d0.example".to_owned(), 3));
    assert_eq!((counted.flags.iter().sum::<u64>(), counted.shared_addresses), (1, 1));

    // Who they are.
    let looked_at = store.list_flagged(campaign, Flags::ROLE, None, 9).await.unwrap();
    let [role] = looked_at.as_slice() else {
        panic!("one person has the flag");
    };
    assert_eq!(role.address, person(7).address);
    let after = store.list_flagged(campaign, Flags::ROLE, Some(role.delivery), 9).await;
    assert!(after.unwrap().is_empty());
    let (at_shared, by_flag) = counted.flagged.split_last().unwrap();
    assert_eq!(by_flag.concat(), [role.delivery]);
    assert_eq!(at_shared.len(), 3);
    intact(&store).await;
}
