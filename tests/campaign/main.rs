//! The life of a campaign with the program and a relay: nothing leaves without a decision and an approval of exactly what
//! leaves, everybody is accounted for at every moment, and what came of letters and calls is booked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod approval;
mod held;
mod run;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../world/mod.rs"]
mod world;

use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::reading::table::{Options, Table};

use world::campaign::coverage;
use world::relay::Relay;
use world::{BREACH, Ran, World, breach_with, text};

/// Anna and Jean can be reached; Marc's server refuses him; Zoé has no address.
const LIST: &str = "person_id,email,name,language,country,street,postcode,city\n\
    1,anna@example.lu,Anna Weber,de,LU,1 rue du Nord,L-1111,Luxembourg\n\
    2,jean@example.fr,Jean Petit,fr,FR,2 rue du Sud,F-57000,Metz\n\
    3,marc@refused.example,=Marc,en,LU,3 rue de l'Est,L-3333,Esch\n\
    4,nowhere,Zoe Muller,lb,LU,4 rue de l'Ouest,L-4444,Wiltz\n";

fn relay() -> Relay {
    let refusal = Act::reply("550 5.1.1 no such user");
    let refused = Trouble::at(Step::Rcpt, refusal).to(|address| address.ends_with("@refused.example"));
    Relay::start(Plan::clear().with(refused))
}

/// An installation with the list as a draft `cmp_1`, and nobody asked anything.
fn drafted(relay: &Relay) -> World {
    let world = World::new(relay);
    world.open_breach(BREACH);
    world.file("list.csv", LIST.as_bytes());
    world
        .run(&["campaign", "create", world.breach(), "--recipients", "list.csv"])
        .exits(2);
    world
}
fn campaign(world: &World, line: &[&str]) -> Ran {
    world.run(&[&["campaign"], line, &["--json"]].concat())
}
fn state(world: &World) -> String {
    text(&campaign(world, &["status", "cmp_1"]).json()["state"])
}
fn report(world: &World) -> [u64; 5] {
    coverage(&campaign(world, &["report", "cmp_1"]).exits(0).json())
}
/// The record as it is, with a change.
fn change_the_record(world: &World, old: &str, new: &str) {
    let file = world.file("breach.yaml", breach_with(&[(old, new)]).as_bytes());
    world.run(&["breach", "update", world.breach(), &file]).exits(0);
}

#[test]
fn from_a_draft_to_letters() {
    let relay = relay();
    let world = drafted(&relay);
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["is not approved", "breachpost campaign approve cmp_1"]);
    let approved = campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0).json();
    assert_eq!(
        (approved["approved"].as_bool(), approved["needed"].as_u64()),
        (Some(true), Some(1))
    );
    assert_eq!(report(&world), [4, 0, 0, 1, 3]);
    assert!(relay.mails().is_empty());

    let started = campaign(&world, &["start", "cmp_1", "--yes"]).exits(0).json();
    assert_eq!(started["state"], "settling");
    assert_eq!(report(&world), [4, 2, 0, 2, 0]);
    let mails = relay.taken(2);
    assert!(mails.iter().all(|mail| mail.recipients.len() == 1));

    // Told, and what came back.
    let found = campaign(&world, &["find", "ANNA@example.lu"]).exits(0).json();
    assert_eq!(
        (&found[0]["campaign"], &found[0]["informed"]),
        (&"cmp_1".into(), &true.into())
    );
    world
        .run(&["campaign", "find", "marc@refused.example"])
        .exits(2)
        .says(&["not told", "550 5.1.1"]);
    world
        .run(&["campaign", "find", "nobody@example.lu"])
        .exits(2)
        .says(&["in no campaign"]);

    // Letters for the rest: nothing that a spreadsheet program would compute.
    let csv = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = rows
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    let cell = |row: usize, name: &str| rows[row][header.iter().position(|found| found == name).unwrap()].clone();
    assert_eq!(rows.len(), 2, "{csv}");
    assert_eq!(
        (cell(0, "street"), cell(0, "reason")),
        ("3 rue de l'Est".into(), "address_unknown".into())
    );
    assert_eq!((cell(1, "city"), cell(1, "state")), ("Wiltz".into(), "invalid".into()));
    assert!(
        rows.iter()
            .flatten()
            .all(|cell| !cell.starts_with(['=', '+', '-', '@'])),
        "{csv}"
    );
    world
        .run(&["campaign", "unreached", "cmp_1", "-o", "unreached.xlsx"])
        .exits(0);
    let sheet = Table::open(&world.scratch().join("unreached.xlsx"), &Options::default()).unwrap();
    let in_sheet: Vec<Vec<String>> = sheet.rows().unwrap().map(|row| row.unwrap().cells).collect();
    assert_eq!((sheet.columns(), &in_sheet), (&header[..], &rows), "the same as in CSV");
    world
        .run(&["campaign", "unreached", "cmp_1", "-o", "unreached.xlsx"])
        .exits(64)
        .says(&["exists already"]);

    // Booked by our own ids, and again, and with somebody who is not there.
    let told = world.file("told.csv", format!("{csv}dlv_999,,,,,,,,,,,,,,,\n").as_bytes());
    let line = ["record", "cmp_1", "--channel", "post", "--file", &told];
    for _ in 0..2 {
        let named = campaign(&world, &line).exits(2).json();
        assert_eq!((&named["found"], &named["not_found"]), (&2.into(), &1.into()));
        assert_eq!(report(&world), [4, 4, 0, 0, 0]);
    }
    world
        .run(&["campaign", "find", "marc@refused.example"])
        .exits(0)
        .says(&["told by post"]);
    let journal = world.run(&["journal", "verify"]).exits(0);
    assert!(!journal.stdout.contains("anna@"));
}

/// Two persons at one address: a call to one of them does not tell the other.
#[test]
fn a_call_to_one_person_books_nobody_else() {
    let relay = relay();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let list = b"email,first name,last name\nfam@refused.example,Anna,Weber\nfam@refused.example,Ben,Weber\n";
    world.file("list.csv", list);
    let create = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    world.run(&create).exits(0);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(report(&world), [2, 0, 0, 2, 0]);
    let record = |called: &str| {
        let called = world.file("called.csv", called.as_bytes());
        world.run(&["campaign", "record", "cmp_1", "--channel", "phone", "--file", &called])
    };
    record("email\nfam@refused.example\n").exits(2).says(&[
        "1 row gives only an address that several persons share, and books nobody: 2",
        "breachpost campaign find ADDRESS",
    ]);
    assert_eq!(report(&world), [2, 0, 0, 2, 0]);
    record("email,first name,last name\nfam@refused.example,Anna,Weber\n").exits(0);
    assert_eq!(report(&world), [2, 1, 0, 1, 0]);
    let unreached = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(
        unreached.contains("Ben Weber") && !unreached.contains("Anna"),
        "{unreached}"
    );
}

/// Nobody in a list is unknown to us, by whatever address it has of them.
#[test]
fn every_address_of_a_list_leads_to_its_person() {
    let relay = relay();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let list = "person_id,email,name\n1,a@refused.example,Anna\n1,Second@home.example,Anna\n2,no-address,Ben\n\
                3,c@home.example d@home.example,Carl\n";
    world.file("list.csv", list.as_bytes());
    let create = ["campaign", "create", world.breach(), "--recipients", "list.csv"];
    world
        .run(&create)
        .exits(2)
        .says(&["1 person with another address in a further row: only the first one is written to"]);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    let find = |address: &str| world.run(&["campaign", "find", address]);
    find("second@HOME.example").exits(2).says(&["not told: cmp_1", "dlv_1"]);
    for (address, row) in [
        ("no-address", "bad_1"),
        ("c@home.example", "bad_2"),
        ("d@home.example", "bad_2"),
    ] {
        find(address)
            .exits(2)
            .says(&["not told: cmp_1", row, "of list.csv cannot be used"]);
        let json = campaign(&world, &["find", address]).json();
        assert_eq!(
            (&json[0]["state"], &json[0]["bad_row"]),
            (&"invalid".into(), &row.into())
        );
    }
    find("e@home.example").exits(2).says(&["in no campaign"]);
    let unreached = world.run(&["campaign", "unreached", "cmp_1"]).exits(0).stdout;
    assert!(unreached.contains("Second@home.example"), "{unreached}");
    let told = world.file("told.csv", b"email\nsecond@home.example\nno-address\nd@home.example\n");
    campaign(&world, &["record", "cmp_1", "--channel", "post", "--file", &told]).exits(0);
    assert_eq!(report(&world), [3, 3, 0, 0, 0]);
    find("no-address").exits(0).says(&["told: cmp_1", "told by post"]);
}

#[test]
fn unusual_addresses_are_written_to() {
    let list = "email,name\njos\u{e9}@b\u{fc}cher.example,Jos\u{e9}\na..b@docomo.example,Ann\nanna@example.lu,Anna\n";
    for offered in [true, false] {
        let mut plan = Plan::clear();
        plan.offers.smtp_utf8 = offered;
        let relay = Relay::start(plan);
        let world = World::new(&relay);
        world.open_breach(BREACH);
        world.file("list.csv", list.as_bytes());
        world
            .run(&["campaign", "create", world.breach(), "--recipients", "list.csv"])
            .exits(0);
        campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
        campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
        let told = if offered { 3 } else { 2 };
        let mut to: Vec<String> = relay
            .taken(told)
            .iter()
            .map(|mail| {
                let text = String::from_utf8_lossy(&mail.bytes).into_owned();
                let to = text.lines().find_map(|line| line.strip_prefix("To: "));
                to.unwrap().to_owned()
            })
            .collect();
        to.sort();
        assert!(to.contains(&"Ann <\"a..b\"@docomo.example>".to_owned()), "{to:?}");
        assert_eq!(report(&world), [3, told as u64, 0, 3 - told as u64, 0]);
        let jose = world.run(&["campaign", "find", "jos\u{e9}@b\u{fc}cher.example"]);
        if offered {
            assert!(
                to.iter().any(|to| to.ends_with("<jos\u{e9}@xn--bcher-kva.example>")),
                "{to:?}"
            );
            jose.exits(0);
        } else {
            jose.exits(2).says(&["the relay does not offer SMTPUTF8"]);
        }
    }
}
