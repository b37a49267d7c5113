//! Whoever runs a campaign for the first time, at night: what they get wrong is refused or named, nobody of their list is
//! lost by it, and each hint that is printed leads on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use breachpost::config::Home;
use breachpost::dispatch::campaign::Letter;
use breachpost::dispatch::office::Office;
use breachpost::drill::receiver::{Act, Plan, Step, Trouble};
use breachpost::model::SystemClock;
use breachpost::model::id::{Actor, CampaignId};
use calamine::Reader as _;
use serde_json::{Value, json};

use world::campaign::coverage;
use world::relay::Relay;
use world::{BREACH, Ran, World, text};

fn world(relay: &Relay) -> World {
    let world = World::new(relay);
    world.open_breach(BREACH);
    world
}
/// A campaign from this list; its id is cmp_1, cmp_2 and so on.
fn create(world: &World, name: &str, list: &str, more: &[&str]) -> Ran {
    let file = world.file(name, list.as_bytes());
    let line = ["campaign", "create", world.breach(), "--recipients", &file];
    world.run(&[&line[..], more].concat())
}
fn campaign(world: &World, line: &[&str]) -> Ran {
    world.run(&[&["campaign"], line].concat())
}
fn as_json(world: &World, line: &[&str]) -> Value {
    campaign(world, &[line, &["--json"]].concat()).json()
}
/// The rows of a CSV text, each by the names of its columns.
fn table(csv: &str) -> Vec<Value> {
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let header = rows.headers().unwrap().clone();
    let named = |row: csv::StringRecord| json!(header.iter().zip(&row).collect::<std::collections::BTreeMap<_, _>>());
    rows.records().map(|row| named(row.unwrap())).collect()
}

const BLANK: &str = "texts:\n  en: { what_happened: '[NAME] TODO ____ account LU28 0019 4006 4475 0000.' }\n";
const ENGLISH: &str = "email,name,language\nanna@example.lu,Anna,en\n";

#[test]
fn what_must_not_be_sent_is_not_approved_without_a_reason() {
    let relay = Relay::sound();
    let world = world(&relay);
    let texts = world.file("texts.yaml", BLANK.as_bytes());
    create(&world, "list.csv", ENGLISH, &["--texts", &texts]).exits(0);
    let refused = campaign(&world, &["approve", "cmp_1", "--yes"]).exits(2);
    refused.says(&[
        "must not be sent",
        "hint: breachpost campaign check cmp_1",
        "--despite-errors",
    ]);
    campaign(&world, &["approve", "cmp_1", "--yes", "--despite-errors"]).exits(64);
    campaign(
        &world,
        &["approve", "cmp_1", "--yes", "--despite-errors", "--reason", " "],
    )
    .exits(2);
    assert_eq!(as_json(&world, &["status", "cmp_1"])["state"], "draft");

    let reason = "the account number is the one that was published";
    let line = ["approve", "cmp_1", "--yes", "--despite-errors", "--reason", reason];
    campaign(&world, &line).exits(0);
    world
        .run(&["breach", "show", world.breach()])
        .exits(0)
        .says(&["cmp_1", reason]);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    assert_eq!(relay.taken(1).len(), 1);

    // Where nothing is wrong, there is nothing to overrule.
    create(&world, "sound.csv", ENGLISH, &[]).exits(0);
    let needless = ["approve", "cmp_2", "--yes", "--despite-errors", "--reason", reason];
    campaign(&world, &needless).exits(2).says(&["no error"]);
    world.is_intact();
}

/// Agreed to in another way than by the command, such as by a version that did not look.
#[test]
fn what_must_not_be_sent_is_not_started_either() {
    let relay = Relay::sound();
    let world = world(&relay);
    let texts = world.file("texts.yaml", BLANK.as_bytes());
    create(&world, "list.csv", ENGLISH, &["--texts", &texts]).exits(0);
    let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let id: CampaignId = "cmp_1".parse().unwrap();
        let hash = Letter::of(&office, id)
            .await
            .unwrap()
            .digest(&office, id)
            .await
            .unwrap();
        let by = Actor::Os("tester".to_owned());
        let agreed = office.store.approve_campaign(id, &hash, 1, &by, office.now()).await;
        agreed.unwrap();
    });
    drop(office);
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["must not be sent", "breachpost campaign check cmp_1"]);
    assert!(relay.mails().is_empty());
}

#[test]
fn the_unreached_can_be_written_to_and_called() {
    let relay = Relay::sound();
    let world = world(&relay);
    let phones = [
        "Telefon",
        "Téléphone",
        "Tel.",
        "Telefonnummer",
        "Mobile",
        "Handy",
        "Telefone",
        "Telefoon",
        "Phone number",
        "phone",
    ];
    for (place, called) in phones.iter().enumerate() {
        let list = format!("Kundennummer,email,name,{called},language,country\nP7,nowhere,Zoe,+352 621 1,fr,LU\n");
        create(&world, &format!("{place}.csv"), &list, &[]).exits(2);
        let id = format!("cmp_{}", place + 1);
        let csv = campaign(&world, &["unreached", &id]).exits(0).stdout;
        let row = &table(&csv)[0];
        assert_eq!(
            (&row["person_id"], &row["phone"], &row["language"]),
            (&json!("P7"), &json!("'+352 621 1"), &json!("fr")),
            "{called}: {row}"
        );
    }
    // Guarded against formulas where a spreadsheet program may take it for one: in JSON, and as text of a sheet, an
    // apostrophe would be part of the number.
    assert_eq!(as_json(&world, &["unreached", "cmp_1"])[0]["phone"], "+352 621 1");
    let path = world.scratch().join("unreached.xlsx");
    campaign(&world, &["unreached", "cmp_1", "-o", path.to_str().unwrap()]).exits(0);
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(&path).unwrap();
    let sheet = book.worksheet_range_at(0).unwrap().unwrap();
    let cells: Vec<String> = sheet.rows().flatten().map(ToString::to_string).collect();
    assert!(cells.contains(&"+352 621 1".to_owned()), "{cells:?}");
    // Who is told by telephone is booked by the controller's own number.
    create(
        &world,
        "two.csv",
        "email,person_id,phone\nanna@example.lu,P1,1\nnowhere,P2,2\n",
        &[],
    )
    .exits(2);
    campaign(&world, &["approve", "cmp_11", "--yes"]).exits(0);
    campaign(&world, &["cancel", "cmp_11", "--yes"]).exits(0);
    let rows = as_json(&world, &["unreached", "cmp_11"]);
    assert_eq!(
        (&rows[0]["person_id"], &rows[1]["person_id"]),
        (&json!("P1"), &json!("P2"))
    );
    let told = world.file("told.csv", b"person_id\nP1\nP2\n");
    campaign(&world, &["record", "cmp_11", "--channel", "phone", "--file", &told]).exits(0);
    assert_eq!(coverage(&as_json(&world, &["report", "cmp_11"])), [2, 2, 0, 0, 0]);
}

#[test]
fn a_row_that_was_corrected_is_not_added_as_another_person() {
    let relay = Relay::sound();
    let world = world(&relay);
    let list = "email,name\nanna@example.lu,Anna\nben,Ben\nzoe,Zoe\n";
    create(&world, "list.csv", list, &["--bad-rows", "bad.csv"]).exits(2);
    let bad = fs::read_to_string(world.scratch().join("bad.csv")).unwrap();
    let add = |name: &str, rows: &str| {
        let file = world.file(name, rows.as_bytes());
        campaign(&world, &["add", "cmp_1", "--recipients", &file])
    };
    let once = bad.replace(",ben,", ",wrong@example.lu,");
    add("once.csv", &once)
        .exits(2)
        .says(&["3 rows: 2 persons", "1 cannot be used"]);
    // The same file, one row further: Ben is in, and Zoe's row is still the same one.
    let twice = once.replace(",zoe,", ",zoe@example.lu,");
    let done = add("twice.csv", &twice).exits(0);
    done.says(&["4 rows: 3 persons can be written to, 1 duplicate, 0 cannot be used"]);
    // Another address for Ben: the first is not forgotten silently.
    let thrice = twice.replace("wrong@example.lu", "ben@example.lu");
    add("thrice.csv", &thrice).exits(2).says(&[
        "corrects bad_1",
        "corrected already",
        "breachpost campaign cancel cmp_1",
    ]);
    let check = as_json(&world, &["check", "cmp_1"]);
    assert_eq!((&check["state"], &check["valid"]), (&json!("draft"), &json!(3)));

    // A row of another campaign's file is nobody here.
    create(&world, "other.csv", "email\nx@example.lu\n", &[]).exits(0);
    let file = world.file("astray.csv", bad.replace(",ben,", ",ben@example.lu,").as_bytes());
    campaign(&world, &["add", "cmp_2", "--recipients", &file])
        .exits(2)
        .says(&["corrects bad_1, bad_2, which cmp_2 does not have"]);
    assert_eq!(as_json(&world, &["check", "cmp_2"])["valid"], 1);
    world.is_intact();
}

#[test]
fn a_decision_not_to_tell_stops_what_runs() {
    let later = Act::reply("451 4.3.0 come back later");
    let relay = Relay::start(Plan::clear().with(Trouble::at(Step::Rcpt, later)));
    let world = world(&relay);
    for name in ["one.csv", "two.csv", "three.csv"] {
        create(&world, name, &format!("email,name\n{name}@example.lu,A\n"), &[]).exits(0);
    }
    for id in ["cmp_1", "cmp_2"] {
        campaign(&world, &["approve", id, "--yes"]).exits(0);
    }
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(2);
    campaign(&world, &["start", "cmp_2", "--at", "2090-01-01 09:00", "--yes"]).exits(0);
    let line = [
        "breach",
        "decide",
        world.breach(),
        "not-inform",
        "--exemption",
        "a_protected",
    ];
    let decided = world
        .run(&[&line[..], &["--rationale", "encrypted", "--json"]].concat())
        .exits(2);
    assert_eq!(decided.json()["paused"], json!(["cmp_1", "cmp_2"]));
    decided.says(&["cmp_1"]);
    for id in ["cmp_1", "cmp_2"] {
        let status = as_json(&world, &["status", id]);
        assert_eq!(status["state"], "paused", "{status}");
        assert!(text(&status["why"]).contains("decided not to tell"), "{status}");
    }
    assert_eq!(as_json(&world, &["status", "cmp_3"])["state"], "draft");
    campaign(&world, &["resume", "cmp_1"])
        .exits(2)
        .says(&["decided not to tell"]);
    // Nothing ran: nothing to stop.
    world.run(&[&line[..], &["--rationale", "still"]].concat()).exits(0);
    world.is_intact();
}

#[test]
fn a_list_without_a_header_loses_nobody() {
    let relay = Relay::sound();
    let world = world(&relay);
    let list = "a@x.example,Anna\nb@x.example,Ben\n";
    for more in [&[][..], &["--map", "email=a@x.example"]] {
        let refused = create(&world, "list.csv", list, more).exits(2);
        assert!(!refused.stderr.contains("--map"), "{refused:?}");
        refused.says(&["the first row is a person", "email,name"]);
    }
    assert_eq!(as_json(&world, &["list"]), json!([]));
    create(&world, "named.csv", &format!("email,name\n{list}"), &[])
        .exits(0)
        .says(&["2 persons"]);
}

#[test]
fn a_discreet_message_is_not_sent_from_a_telling_domain_unnoticed() {
    let relay = Relay::sound();
    let world = world(&relay);
    let texts = "discreet: { sender: 'Info Service', contact: { name: 'The office', phone: '+352 621 999' } }\n";
    let texts = world.file("texts.yaml", texts.as_bytes());
    create(&world, "list.csv", ENGLISH, &["--discreet", "--texts", &texts]).exits(0);
    create(&world, "plain.csv", ENGLISH, &[]).exits(0);
    let warned = |id: &str| {
        let check = as_json(&world, &["check", id]);
        let findings = check["findings"].as_array().unwrap().clone();
        findings.iter().any(|finding| finding["code"] == "discreet.sender")
    };
    assert!(warned("cmp_1") && !warned("cmp_2"));
    campaign(&world, &["check", "cmp_1"]).says(&[
        "From: Info Service <breach@brasserie-kirchberg.example>",
        "brasserie-kirchberg.example",
        "individuals.sender",
    ]);
    world.settle_individuals("sender: { address: info@notices.example }");
    assert!(!warned("cmp_1"));
}

#[test]
fn a_bad_rows_id_is_not_taken_for_its_row() {
    let relay = Relay::sound();
    let world = world(&relay);
    create(&world, "first.csv", "email\nnowhere\nnobody\n", &[]).exits(2);
    let list = "email,name\nanna@example.lu,Anna\nx,Xaver\n";
    create(&world, "second.csv", list, &["--bad-rows", "bad.csv"]).exits(2);
    let row = table(&campaign(&world, &["unreached", "cmp_2"]).exits(0).stdout)[0].clone();
    assert_eq!(
        (&row["person"], &row["list"], &row["row"]),
        (&json!("bad_3"), &json!("second.csv"), &json!("3"))
    );
    let bad = fs::read_to_string(world.scratch().join("bad.csv")).unwrap();
    assert!(bad.contains("\nbad_3,3,"), "{bad}");
}

#[test]
fn corrected_rows_are_read_as_their_list_was() {
    let relay = Relay::sound();
    let world = world(&relay);
    let list = "Kontakt,Wer\nanna@example.lu,Anna\nben,Ben\n";
    let map = ["--map", "email=Kontakt", "--map", "name=Wer", "--bad-rows", "bad.csv"];
    let made = create(&world, "list.csv", list, &map).exits(2);
    assert!(!made.stdout.contains("to-correct.csv"), "the file is there: {made:?}");
    made.says(&["campaign add cmp_1 --recipients 'bad.csv'"]);
    let bad = fs::read_to_string(world.scratch().join("bad.csv")).unwrap();
    world.file("bad.csv", bad.replace(",ben,", ",ben@example.lu,").as_bytes());
    campaign(&world, &["add", "cmp_1", "--recipients", "bad.csv"])
        .exits(0)
        .says(&["2 persons can be written to, 0 duplicates, 0 cannot be used"]);
    let preview = campaign(&world, &["preview", "cmp_1", "--person", "ben@example.lu"]).exits(0);
    assert!(preview.stdout.contains("Ben"), "{preview:?}");
}

#[test]
fn a_bad_row_counts_with_its_language_and_country() {
    let relay = Relay::sound();
    let world = world(&relay);
    let list = "email,name,language,country\nnowhere,Zoe,fr,LU\nnobody,Max,,Narnia\n";
    create(&world, "list.csv", list, &[]).exits(2);
    let report = as_json(&world, &["report", "cmp_1"]);
    coverage(&report);
    assert_eq!(report["languages"]["fr"]["unreached"], 1, "{report}");
    assert_eq!(report["countries"]["LU"]["unreached"], 1, "{report}");
    assert_eq!(report["countries"][""]["unreached"], 1, "no such country: {report}");
    let rows = as_json(&world, &["unreached", "cmp_1"]);
    assert_eq!(rows[0]["language"], "fr");
}

#[test]
fn who_is_worth_a_look_is_named() {
    let relay = Relay::sound();
    let world = world(&relay);
    let list = "email,name,phone,certificate\n\
                anna@example.lu,Anna,+352 621 123 456,\n\
                ben@example.lu,=Ben,(+352) 621-1,nonsense\n\
                anna@example.lu,Another,+352/621.1 ext. 5,\n";
    create(&world, "list.csv", list, &[]).exits(0);
    let check = as_json(&world, &["check", "cmp_1"]);
    assert_eq!(check["flags"]["formula"], 1, "telephone numbers are none: {check}");
    assert_eq!(check["flagged"]["certificate_unreadable"], json!(["dlv_2"]));
    assert_eq!(check["flagged"]["shared_address"], json!(["dlv_1", "dlv_3"]));
    let told = campaign(&world, &["check", "cmp_1", "--flagged", "flagged.csv"]).exits(0);
    told.says(&["dlv_2", "flagged.csv"]);
    let rows = table(&fs::read_to_string(world.scratch().join("flagged.csv")).unwrap());
    let ben = rows.iter().find(|row| row["person"] == "dlv_2").unwrap();
    assert_eq!(ben["email"], "ben@example.lu");
    assert!(text(&ben["flags"]).contains("certificate_unreadable"), "{ben}");
    campaign(&world, &["check", "cmp_1", "--flagged", "flagged.csv"])
        .exits(64)
        .says(&["exists already"]);

    world.settle("#encrypt: when_known", "encrypt: required");
    campaign(&world, &["update", "cmp_1"]).exits(0);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"]).exits(0);
    let report = as_json(&world, &["report", "cmp_1"]);
    assert_eq!(report["reasons"], json!({ "no_certificate": 3 }));
    campaign(&world, &["report", "cmp_1"]).says(&["no certificate that can be used"]);
}

#[test]
fn the_public_notice_says_what_is_in_another_language() {
    let relay = Relay::sound();
    let world = world(&relay);
    let line = ["public-notice", world.breach(), "--lang", "fr"];
    let warned = campaign(&world, &line).exits(0);
    assert!(
        warned.stderr.contains("warning: ") && warned.stderr.contains("--texts"),
        "{warned:?}"
    );
    campaign(&world, &["public-notice", world.breach(), "--lang", "es"])
        .exits(64)
        .says(&["there is: "]);

    let example = campaign(&world, &["texts"]).exits(0).stdout;
    let texts = world.file("texts.yaml", example.as_bytes());
    let own = campaign(&world, &[&line[..], &["--texts", &texts]].concat()).exits(0);
    assert!(!own.stderr.contains("reads like"), "{own:?}");
    assert!(!own.stdout.contains("payroll export"), "{own:?}");
    // The example is one that `create` takes.
    create(&world, "list.csv", ENGLISH, &["--discreet", "--texts", &texts]).exits(0);
}

#[test]
fn who_waits_is_counted_and_the_next_try_is_told() {
    let later = Act::reply("451 4.3.0 come back later");
    let relay = Relay::start(Plan::clear().with(Trouble::at(Step::Rcpt, later)));
    let world = world(&relay);
    world.settle(
        "retry: { first_seconds: 1, max_seconds: 2 }",
        "retry: { first_seconds: 3600, max_seconds: 3600 }",
    );
    create(
        &world,
        "list.csv",
        "email,name\nanna@example.lu,Anna\nben@example.lu,Ben\n",
        &[],
    )
    .exits(0);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--yes"])
        .exits(2)
        .says(&["The next try is at"]);
    let status = as_json(&world, &["status", "cmp_1"]);
    assert_eq!(
        (&status["deferred"], &status["pending"]),
        (&json!(2), &json!(2)),
        "{status}"
    );
    assert!(status["next_try"].is_string(), "{status}");
    let waits: u64 = status["waits"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(waits, 2, "one answer for each person: {status}");

    // Whoever follows is told that nobody sends, and is not left to wait.
    let mut watching = world.command(&["campaign", "status", "cmp_1", "--watch"]);
    let mut watching = watching.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(watching.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    assert!(
        first.contains("Nobody sends it now") && first.contains("campaign start cmp_1"),
        "{first}"
    );
    campaign(&world, &["pause", "cmp_1", "--reason", "the number is wrong"])
        .exits(0)
        .says(&["Once that is seen to: breachpost campaign resume cmp_1"]);
    assert_eq!(watching.wait().unwrap().code(), Some(2));
}

#[test]
fn nobody_is_asked_to_agree_to_a_start_that_is_refused() {
    let relay = Relay::sound();
    let world = world(&relay);
    create(&world, "list.csv", ENGLISH, &[]).exits(0);
    let refused = campaign(&world, &["start", "cmp_1"])
        .exits(2)
        .says(&["is not approved", "hint: breachpost campaign approve cmp_1"]);
    assert!(!refused.stderr.contains("Anna"), "{refused:?}");
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1"]).exits(64).says(&["add --yes"]);
}

#[test]
fn watching_a_scheduled_campaign_follows_it() {
    let relay = Relay::sound();
    let world = world(&relay);
    create(&world, "list.csv", ENGLISH, &[]).exits(0);
    campaign(&world, &["approve", "cmp_1", "--yes"]).exits(0);
    campaign(&world, &["start", "cmp_1", "--at", "2090-01-01 09:00", "--yes"]).exits(0);
    let mut watching = world.command(&["campaign", "status", "cmp_1", "--watch", "--json"]);
    let mut watching = watching.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(watching.stdout.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("scheduled"));
    campaign(&world, &["cancel", "cmp_1", "--yes"]).exits(0);
    let last = said.last().expect("it goes on following").unwrap();
    assert!(last.contains("cancelled"), "{last}");
    assert!(watching.wait().unwrap().success());
}

#[test]
fn small_mistakes_are_wrong_usage() {
    let relay = Relay::sound();
    let world = world(&relay);
    create(&world, "list.csv", ENGLISH, &[]).exits(0);
    campaign(&world, &["test", "cmp_1", "--to", "bad address"])
        .exits(64)
        .says(&["no e-mail address"]);
    campaign(&world, &["find", "notanaddress"])
        .exits(64)
        .says(&["no e-mail address"]);
    campaign(&world, &["unreached", "cmp_1", "-o", "x.ods"])
        .exits(64)
        .says(&[".csv or .xlsx"]);
    assert!(!world.scratch().join("x.ods").exists());
}

#[test]
fn every_kind_of_message_is_tried_out_in_words_that_fit() {
    let relay = Relay::sound();
    let world = world(&relay);
    let texts = world.file("texts.yaml", b"stacked: [de, fr]\n");
    let list = "email,name,language\nanna@example.lu,Anna,nl\nben@example.lu,Ben,klingon\n";
    create(&world, "list.csv", list, &["--texts", &texts])
        .exits(0)
        .says(&["or one message in several", "1 person gets one message in de, fr"]);
    let tested = as_json(&world, &["test", "cmp_1", "--to", "team@example.lu"]);
    let languages: Vec<String> = tested
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["language"]))
        .collect();
    assert_eq!(languages, ["de+fr", "nl"]);
    // Who agrees sees the message in several languages too, and hears of every other one.
    let stacked = campaign(&world, &["preview", "cmp_1", "--language-unknown"])
        .exits(0)
        .stdout;
    let subject = stacked.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
    let agreed = campaign(
        &world,
        &["approve", "cmp_1", "--yes", "--despite-errors", "--reason", "a test"],
    );
    agreed.says(&[
        "the first person's message (nl):",
        "The message in several languages (de, fr), for 1 person whose own is not known:",
        subject,
        "  | - Français",
    ]);
    // The authority has no Dutch name: then the one that it calls itself.
    let shown = campaign(&world, &["preview", "cmp_1"]).exits(0).stdout;
    assert!(
        shown.contains("Commission nationale") && !shown.contains("National Data"),
        "{shown}"
    );
}
