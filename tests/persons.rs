//! What one person of a campaign gets and keeps: the wording that the operator chose, an encrypted mail where the
//! certificate is known, a letter where mail does not arrive, and in the end the erasure of it all.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod world;

use std::fs;
use std::sync::{Arc, LazyLock};

use breachpost::config::Home;
use breachpost::dispatch::campaign::{Letter, LetterError};
use breachpost::dispatch::courier::{Courier, Scope};
use breachpost::dispatch::desk::campaign::ready;
use breachpost::dispatch::office::Office;
use breachpost::dispatch::worker::WorkerKind;
use breachpost::message::open;
use breachpost::model::id::{Actor, CampaignId};
use breachpost::model::{Clock, SystemClock, Time};
use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::serialize::SerializeInto as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use world::gpg::Gpg;
use world::relay::Relay;
use world::{BREACH, Ran, World, text};

fn world() -> World {
    static RELAY: LazyLock<Relay> = LazyLock::new(Relay::sound);
    let world = World::new(&RELAY);
    world.open_breach(BREACH);
    world
}
fn create(world: &World, list: &str, more: &[&str]) -> Ran {
    let file = world.file("list.csv", list.as_bytes());
    let line = ["campaign", "create", world.breach(), "--recipients", &file, "--json"];
    world.run(&[&line[..], more].concat())
}
fn office(world: &World) -> Office {
    Office::open(Home::find(Some(&world.home())).unwrap(), Arc::new(SystemClock)).unwrap()
}
/// Relays of tests cannot be made within a runtime, so that tests have none but here.
fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}
fn letter(office: &Office, campaign: &Value) -> Letter {
    let id: CampaignId = text(&campaign["id"]).parse().unwrap();
    wait(Letter::of(office, id)).unwrap()
}
fn write(letter: &Letter, address: &str, language: &str, fields: &Value) -> Result<String, LetterError> {
    let mail = letter.write(address, language, fields, "<1@example.lu>", SystemClock.now())?;
    Ok(String::from_utf8(mail).unwrap())
}

const TEXTS: &str = "
discreet: { sender: 'Data protection office, Luxembourg', contact: { name: 'The office', phone: '+352 621 999' } }
stacked: [de, fr]
updates_at: www.example.lu
texts:
  de: { what_happened: 'Eine Datei lag offen.', consequences: 'Fremde kennen Ihren Namen.', measures: 'Sie ist weg.' }
";

/// What the linter finds of each wording that the campaign sends, errors and warnings only: file and code.
fn judged(world: &World, campaign: &Value) -> Vec<(String, String)> {
    let check = world
        .run(&["campaign", "check", &text(&campaign["id"]), "--json"])
        .json();
    let findings = check["findings"].as_array().unwrap().iter();
    let serious = findings.filter(|finding| finding["severity"] != "note");
    serious
        .map(|finding| (text(&finding["file"]), text(&finding["code"])))
        .collect()
}

#[test]
fn what_is_really_sent_is_judged_and_nothing_else() {
    let world = world();
    let sound = "what_happened: 'Eine Datei mit den Namen der Kunden lag offen im Netz.', consequences: 'Fremde kennen Ihren Namen.'";
    let texts = [
        "discreet: { sender: 'Data protection office', contact: { name: 'The office', phone: '+352 621 999' } }",
        "stacked: [de, fr]",
        "texts:",
        &format!("  de: {{ {sound}, measures: 'Klicken Sie hier, um Ihr Passwort zu bestätigen.' }}"),
        &format!("  fr: {{ {sound}, measures: 'Nous avons bloqué le compte LU28 0019 4006 4475 0000.' }}"),
    ]
    .join("\n");
    let texts = world.file("texts.yaml", texts.as_bytes());
    let click = |file: &str| (file.to_owned(), "phishing.click".to_owned());
    let leak = |file: &str| (file.to_owned(), "leak".to_owned());
    let foreign = |file: &str| (file.to_owned(), "text.foreign".to_owned());

    // Only persons of unknown language: each part of the one message in several, and no message of one language.
    let unknown = create(&world, "email,name\na@example.lu,A\n", &["--texts", &texts])
        .exits(0)
        .json();
    assert_eq!(
        judged(&world, &unknown),
        [
            click("message/stacked/de"),
            leak("message/stacked/fr"),
            foreign("message/stacked/fr")
        ]
    );
    let said = world.run(&["campaign", "check", &text(&unknown["id"])]).exits(2).stdout;
    assert!(
        said.contains("1 person gets one message in de, fr; 0 persons get the fallback"),
        "{said}"
    );

    // One German person too: what is said of the German message is not said again of its part.
    let both = "email,name,language\na@example.lu,A,\nb@example.lu,B,de\n";
    let both = create(&world, both, &["--texts", &texts]).exits(0).json();
    assert_eq!(
        judged(&world, &both),
        [
            leak("message/stacked/fr"),
            click("message/de"),
            foreign("message/stacked/fr"),
        ]
    );

    // The discreet wording is judged like the other, in the languages of the list only.
    let german = "email,name,language\nb@example.lu,B,de\n";
    let discreet = create(&world, german, &["--discreet", "--texts", &texts])
        .exits(0)
        .json();
    let sender = ("message".to_owned(), "discreet.sender".to_owned());
    assert_eq!(judged(&world, &discreet), [click("message/de"), sender]);
}

#[test]
fn a_campaign_is_worded_as_the_operator_says() {
    let world = world();
    let texts = world.file("texts.yaml", TEXTS.as_bytes());
    let list = "email,name\nanna@example.lu,Anna\n";
    let plain = create(&world, list, &["--html", "--texts", &texts]).exits(0).json();
    let discreet = create(&world, list, &["--discreet", "--texts", &texts]).exits(0).json();
    let office = office(&world);
    let (plain, discreet) = (letter(&office, &plain), letter(&office, &discreet));
    let anna = json!({ "name": ["Anna"] });
    let read = |mail: String| {
        let opened = open::open(mail.as_bytes(), None, &[], SystemClock.now());
        (mail, opened)
    };

    let (raw, german) = read(write(&plain, "anna@example.lu", "de", &anna).unwrap());
    assert!(german.text.contains("Eine Datei lag offen.") && german.text.contains("www.example.lu"));
    assert!(
        raw.contains("multipart/alternative") && raw.contains("Content-Language: de"),
        "{raw}"
    );
    for header in [
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: OOF, AutoReply",
    ] {
        assert!(raw.contains(header), "{header}: {raw}");
    }
    let (_, unknown) = read(write(&plain, "anna@example.lu", "", &anna).unwrap());
    assert!(
        unknown.text.contains("Eine Datei lag offen.") && unknown.text.contains("Bonjour"),
        "{}",
        unknown.text
    );
    let (_, fallback) = read(write(&plain, "anna@example.lu", "xx", &anna).unwrap());
    assert!(
        fallback.text.contains("Bonjour") && !fallback.text.contains("Guten Tag"),
        "{}",
        fallback.text
    );

    let (raw, hidden) = read(write(&discreet, "anna@example.lu", "de", &anna).unwrap());
    assert!(
        hidden.text.contains("+352 621 999") && raw.contains("Data protection office"),
        "{raw}"
    );
    for telling in ["Brasserie", "Claire Weber", "+352 621 000 111"] {
        assert!(
            !hidden.text.contains(telling) && !hidden.subject.contains(telling),
            "{telling}"
        );
    }
    assert!(
        !raw.contains("multipart/alternative"),
        "HTML only where it is asked for"
    );

    // What is not spoken of stays: above all, who must not be named.
    let id = text(&create(&world, list, &["--discreet", "--texts", &texts]).exits(0).json()["id"]);
    world.run(&["campaign", "update", &id, "--html"]).exits(0);
    let shown = world.run(&["campaign", "preview", &id, "--lang", "de"]).exits(0).stdout;
    assert!(
        shown.contains("Data protection office") && shown.contains("Eine Datei") && !shown.contains("Brasserie"),
        "{shown}"
    );
    world
        .run(&["campaign", "update", &id, "--texts", &texts])
        .exits(2)
        .says(&["does not name you", "--discreet"]);

    create(&world, list, &["--discreet"]).exits(64);
    let wrong = world.file("wrong.yaml", b"texts: { xx: {} }\n");
    create(&world, list, &["--texts", &wrong])
        .exits(64)
        .says(&["in `xx`, which texts asks for"]);
    create(&world, list, &["--discreet", "--texts", &wrong])
        .exits(64)
        .says(&["needs a neutral sender"]);
}

#[test]
fn whose_certificate_is_known_gets_an_encrypted_mail_that_gnupg_opens() {
    let world = world();
    let anna = Gpg::new("anna@example.lu");
    let ours = world.run(&["key", "export"]).exits(0).stdout;
    anna.ok(&["--import"], ours.as_bytes());
    let armored = anna.certificate.replace('\n', "\\n");
    let list = format!(
        "email,name,certificate\nanna@example.lu,Anna,\"{}\"\nbob@example.lu,Bob,\ncarl@example.lu,Carl,\"{}\"\ndora@example.lu,Dora,nonsense\n",
        anna.certificate, anna.certificate
    );
    let made = create(&world, &list, &[]).exits(0).json();
    assert_eq!(
        (&made["flags"]["certificate"], &made["flags"]["bad_certificate"]),
        (&json!(1), &json!(2))
    );
    // Carl's is Anna's, Dora's is nonsense.
    for why in ["certificate_of_another", "certificate_unreadable"] {
        assert_eq!(made["flags"][why], 1, "{why}: {made}");
    }
    assert_eq!(made["flags"]["secret_key"], Value::Null);
    let secret = anna.ok(&["--armor", "--export-secret-keys", "anna@example.lu"], b"");
    create(&world, &format!("email,pgp\nanna@example.lu,\"{secret}\"\n"), &[])
        .exits(0)
        .says(&["\"secret_key\": 1"]);
    let one_line = create(&world, &format!("email,pgp\nanna@example.lu,{armored}\n"), &[])
        .exits(0)
        .json();
    assert_eq!(
        one_line["flags"]["certificate"], 1,
        "as spreadsheets write it: {one_line}"
    );

    let office = office(&world);
    let when_known = letter(&office, &made);
    let (with, without) = (
        json!({ "name": ["Anna"], "certificate": [anna.certificate] }),
        json!({ "name": ["Bob"] }),
    );
    let first = write(&when_known, "anna@example.lu", "en", &with).unwrap();
    let second = write(&when_known, "anna@example.lu", "en", &with).unwrap();
    for mail in [first, second] {
        let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(headers.contains("multipart/encrypted") && headers.contains("Auto-Submitted: auto-generated"));
        assert!(headers.contains("Subject: Encrypted message B-"), "{headers}");
        let (content, status) = anna.decrypt(&mail);
        assert!(
            content.contains("Dear Anna") && content.contains("Subject: "),
            "{content}"
        );
        assert!(
            status.contains("GOODSIG") && status.contains("DECRYPTION_OKAY"),
            "{status}"
        );
    }
    let clear = write(&when_known, "bob@example.lu", "en", &without).unwrap();
    assert!(clear.contains("Content-Type: text/plain"), "{clear}");
    let of_another = write(&when_known, "carl@example.lu", "en", &with);
    assert!(
        matches!(of_another, Err(LetterError::CertificateEnded)),
        "one that was kept and cannot be used is no reason for clear text: {of_another:?}"
    );

    world.settle("#encrypt: when_known", "encrypt: required");
    let made = create(&world, &list.replace("Dora", "Dorothea"), &[]).exits(0).json();
    let office = self::office(&world);
    let required = letter(&office, &made);
    assert!(
        write(&required, "anna@example.lu", "en", &with)
            .unwrap()
            .contains("multipart/encrypted")
    );
    let refused = write(&required, "bob@example.lu", "en", &without);
    assert!(matches!(refused, Err(LetterError::NoCertificate)), "{refused:?}");
}

/// The clock stands here.
struct At(Time);
impl Clock for At {
    fn now(&self) -> Time {
        self.0
    }
}

#[test]
fn a_certificate_that_has_ended_is_no_reason_for_clear_text() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);
    let (cert, _) = CertBuilder::general_purpose(Some("anna@example.lu"))
        .set_validity_period(std::time::Duration::from_secs(86_400))
        .generate()
        .unwrap();
    let cert = String::from_utf8(cert.armored().to_vec().unwrap()).unwrap();
    let list = format!("email,name,language,certificate\nanna@example.lu,Anna,en,\"{cert}\"\nbob@example.lu,Bob,en,\n");
    let made = create(&world, &list, &[]).exits(0).json();
    let id = text(&made["id"]);
    let checked = world.run(&["campaign", "check", &id, "--json"]).json();
    let protection = &checked["protection"];
    assert_eq!(
        (&protection["encrypted"], &protection["certificate_ended"]),
        (&json!(1), &json!(0)),
        "{checked}"
    );

    // It starts two days later.
    let clock = Arc::new(At(SystemClock.now() + chrono::TimeDelta::days(2)));
    let later = Office::open(Home::find(Some(&world.home())).unwrap(), clock).unwrap();
    let campaign: CampaignId = id.parse().unwrap();
    wait(async {
        let found = ready(&later, campaign).await.unwrap().protection;
        assert_eq!((found.encrypted, found.certificate_ended, found.clear), (0, 1, 1));
        let (store, by, now) = (&later.store, Actor::Os("tester".to_owned()), later.now());
        let hash = Letter::of(&later, campaign).await.unwrap();
        let hash = hash.digest(&later, campaign).await.unwrap();
        store.approve_campaign(campaign, &hash, 1, &by, now).await.unwrap();
        store.start(campaign, &by, now).await.unwrap();
        let worker = later.sign_on(WorkerKind::Command).await.unwrap();
        let courier = Arc::new(Courier::new(&later, &worker).unwrap());
        courier.run(Scope::UntilIdle, CancellationToken::new()).await.unwrap();
    });
    drop(later);
    let sent = relay.mails();
    assert_eq!(sent.len(), 1, "only to Bob");
    world
        .run(&["campaign", "held", &id])
        .exits(2)
        .says(&["anna@example.lu", "has ended since", "--in-clear --reason"]);

    world.run(&["campaign", "held", &id, "--in-clear"]).exits(64);
    world
        .run(&["campaign", "held", &id, "--in-clear", "--reason", "Anna asked for it"])
        .exits(0)
        .says(&["1 person is written to in clear text"]);
    world.run(&["campaign", "start", &id, "--yes"]).exits(0);
    let sent = relay.taken(2);
    let mail = String::from_utf8_lossy(&sent[1].bytes);
    assert!(mail.contains("Dear Anna"), "{mail}");
    world.is_intact();
}

#[test]
fn who_was_not_reached_gets_a_letter_and_all_are_erased_in_the_end() {
    let world = world();
    let list = "email,name,language,street,postcode,city,country\n\
                nowhere,Noëlle Çelik,fr,1 rue des Œillets,L-1234,Luxembourg,LU\n\
                nobody,Łukasz Nowak,fr,2 rue Haute,L-1234,Luxembourg,LU\n\
                noone,محمد علي,fr,2 rue Haute,L-1234,Luxembourg,LU\n\
                none,Bob Weber,de,,,,DE\n\
                nix,Jörg Müller,de,Große Straße 4,54290,Trier,DE\n\
                anna@example.lu,Anna Muster,de,Gasse 3,54290,Trier,DE\n";
    let made = create(&world, list, &[]).exits(2).json();
    let id = text(&made["id"]);
    let line = ["campaign", "letters", &id, "-o", "letters.pdf", "--window", "right"];
    let printed = world.run(&[&line[..], &["--json"]].concat()).exits(2).json();
    let unprinted: u64 = printed["unprinted"]["reasons"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    let files: Vec<_> = printed["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (&f["language"], &f["letters"]))
        .collect();
    assert_eq!(
        json!(files),
        json!([["de", 1], ["fr", 2]]),
        "each in their own language: {printed}"
    );
    assert_eq!(unprinted, 2, "{printed}");
    let pdf = fs::read(
        printed["files"][0]["file"]
            .as_str()
            .map(|file| world.scratch().join(file))
            .unwrap(),
    )
    .unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    assert!(!printed.to_string().contains("Nowak"), "ids only: {printed}");
    world
        .run(&line)
        .exits(64)
        .says(&["the letters could not be kept", "letters-de.pdf"]);

    let erase = ["campaign", "erase", &id, "--yes", "--json"];
    world
        .run(&erase)
        .exits(2)
        .says(&["it must be finished or cancelled first"]);
    let before = {
        let office = office(&world);
        let campaign = id.parse().unwrap();
        let now = SystemClock.now();
        wait(office.store.cancel(campaign, &Actor::Os("tester".to_owned()), now)).unwrap();
        world.json(&["campaign", "list"])
    };
    world.run(&["campaign", "erase", &id]).exits(2).says(&["not confirmed"]);
    let erased = world.run(&erase).exits(0).json();
    assert_eq!(
        (&erased["persons"], &erased["bad_rows"]),
        (&json!(1), &json!(5)),
        "{erased}"
    );
    assert_eq!(world.json(&["campaign", "list"]), before, "the sums stay");
    world.run(&erase).exits(2).says(&["erased already"]);
    let nothing = ["campaign", "letters", &id, "-o", "late.pdf"];
    world.run(&nothing).exits(2).says(&["No letters"]);
    let found = world.run(&["campaign", "find", "Anna@Example.lu", "--json"]).json();
    assert_eq!(
        (&found[0]["campaign"], &found[0]["state"]),
        (&json!(id), &json!("cancelled")),
        "{found}"
    );
    let forget = ["campaign", "forget-hashes", &id, "--yes", "--json"];
    assert_eq!(world.run(&forget).exits(0).json()["forgotten"], true);
    assert_eq!(world.run(&forget).exits(0).json()["forgotten"], false);
    let nobody = world.run(&["campaign", "find", "anna@example.lu"]);
    assert!(nobody.stdout.contains("is in no campaign"), "{nobody:?}");
    world.is_intact();
}
