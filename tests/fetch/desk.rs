//! What becomes of a fetched certificate: it waits, is approved or refused; newer states of the pinned one are taken by
//! the profile's rule, and its revocation counts at once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use breachpost::config::Home;
use breachpost::directory::certificate::pretty_fingerprint;
use breachpost::dispatch::desk::DeskError;
use breachpost::dispatch::desk::certificate::{self, FetchView, Outcome};
use breachpost::dispatch::office::Office;
use breachpost::drill::receiver::{Act, Step};
use breachpost::mail::fetch::wkd;
use breachpost::model::id::Actor;
use breachpost::model::{Clock, SystemClock, Time};
use chrono::TimeDelta;
use regex::Regex;
use sequoia_openpgp as openpgp;

use openpgp::cert::CertBuilder;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::types::{KeyFlags, ReasonForRevocation};
use openpgp::{Cert, Packet};

use tokio::runtime::Runtime;

use crate::web::{Page, Web};
use crate::world::relay::Relay;
use crate::world::{BREACH, Ran, World, text};

const ID: &str = "lu-practice";
const ADDRESS: &str = "authority@practice.example";
const PLACE: &str = "keys.practice.example/key.asc";
const PROFILE: &str = "id: lu-practice
type: supervisory
names: { en: Practice Authority }
country: LU
timezone: Europe/Luxembourg
languages: [en]
channels:
  - { kind: email, value: authority@practice.example, for: breach, source: test, confidence: confirmed }
  - { kind: phone, value: +352 222 222, for: general, source: test, confidence: confirmed }
openpgp: { url: https://keys.practice.example/key.asc, url_kind: key, source: test, confidence: confirmed }
";

/// The system's clock, and what a test adds to it.
struct Ahead(TimeDelta);
impl Clock for Ahead {
    fn now(&self) -> Time {
        SystemClock.now() + self.0
    }
}

/// An installation, the web, and the authority's key.
struct Scene {
    // The tasks of the web server belong to it.
    runtime: Runtime,
    world: World,
    web: Web,
    key: Cert,
}

impl Scene {
    fn new(relay: &Relay) -> Self {
        let world = World::new(relay);
        let runtime = Runtime::new().unwrap();
        let scene = Self {
            web: runtime.block_on(Web::start()),
            runtime,
            key: key_of(ADDRESS),
            world,
        };
        scene.profile(PROFILE);
        scene.publish(&scene.key);
        scene
    }
    fn profile(&self, text: &str) {
        std::fs::write(self.world.home().join("authorities/lu-practice.yaml"), text).unwrap();
    }
    fn publish(&self, cert: &Cert) {
        self.web.put(PLACE, Page::File(armored(cert)));
    }
    fn office(&self, ahead: TimeDelta) -> Office {
        Office::open(Home::at(&self.world.home()).unwrap(), Arc::new(Ahead(ahead))).unwrap()
    }
    fn fetch(&self) -> Result<FetchView, DeskError> {
        let (world, office, by) = (
            self.web.world(),
            self.office(TimeDelta::zero()),
            Actor::Os("test".to_owned()),
        );
        self.runtime
            .block_on(certificate::fetch_from(&world, &office, ID, false, &by))
    }
    fn fetches(&self, outcome: Outcome) -> FetchView {
        let found = self.fetch().unwrap();
        assert_eq!(found.outcome, outcome, "{found:#?}");
        found
    }
    fn cert(&self, more: &[&str]) -> Ran {
        self.world.run(&[&["authority", "cert"], more].concat())
    }
    /// From a file, verified by telephone.
    fn import(&self, key: &Cert) -> Ran {
        let file = self.world.file("theirs.asc", &armored(key));
        let fingerprint = key.fingerprint().to_hex();
        self.cert(&[
            "import",
            ID,
            &file,
            "--fingerprint",
            &fingerprint,
            "--verified",
            "phone",
        ])
    }
    fn approve(&self, more: &[&str]) -> Ran {
        self.cert(&[&["approve", ID], more].concat())
    }
    fn fingerprint(&self) -> String {
        self.key.fingerprint().to_hex()
    }
    /// Fetched, approved and verified by telephone.
    fn pinned(relay: &Relay) -> Self {
        let scene = Self::new(relay);
        scene.fetches(Outcome::Waiting);
        scene
            .approve(&["--fingerprint", &scene.fingerprint(), "--verified", "phone"])
            .exits(0);
        scene
    }
    fn pin(&self) -> serde_json::Value {
        self.cert(&["show", ID, "--json"]).json()
    }
    fn send(&self, more: &[&str]) -> Ran {
        let line = ["notice", "send", self.world.breach(), "--to", ID, "--yes", "--json"];
        self.world.run(&[&line[..], more].concat())
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn days_ago(days: u32) -> SystemTime {
    SystemTime::from(SystemClock.now()) - DAY * days
}

/// A key made ten days ago that holds for forty more.
fn key_of(address: &str) -> Cert {
    let made = CertBuilder::new()
        .set_creation_time(days_ago(10))
        .set_validity_period(DAY * 50)
        .add_userid(format!("Practice <{address}>"))
        .add_subkey(KeyFlags::empty().set_transport_encryption(), DAY * 50, None)
        .generate();
    made.unwrap().0
}

fn armored(cert: &Cert) -> Vec<u8> {
    cert.armored().to_vec().unwrap()
}

fn signer(key: &Cert) -> openpgp::crypto::KeyPair {
    let secret = key.primary_key().key().clone().parts_into_secret().unwrap();
    secret.into_keypair().unwrap()
}

/// The same key with a later end, and a fresh subkey.
fn renewed(key: &Cert) -> Cert {
    let policy = StandardPolicy::new();
    let later = SystemTime::from(SystemClock.now()) + DAY * 700;
    let valid = key.with_policy(&policy, None).unwrap();
    let signatures = valid
        .primary_key()
        .set_expiration_time(&mut signer(key), Some(later))
        .unwrap();
    let extended = key.clone().insert_packets(signatures).unwrap().0;
    let valid = extended.with_policy(&policy, None).unwrap();
    openpgp::cert::KeyBuilder::new(KeyFlags::empty().set_transport_encryption())
        .subkey(valid)
        .unwrap()
        .attach_cert()
        .unwrap()
}

fn revoked(key: &Cert) -> Cert {
    let revocation = key
        .revoke(&mut signer(key), ReasonForRevocation::KeyCompromised, b"stolen")
        .unwrap();
    key.clone().insert_packets(Packet::from(revocation)).unwrap().0
}

#[test]
fn a_fetched_certificate_waits_until_a_person_gives_its_fingerprint() {
    let relay = Relay::sound();
    let scene = Scene::new(&relay);
    let found = scene.fetches(Outcome::Waiting);
    assert_eq!((found.fingerprint, found.unusable), (scene.fingerprint(), None));
    scene.world.open_breach(BREACH);
    // Nothing is sealed to it, and the way through names it.
    scene.send(&[]).exits(2).says(&[
        "authority cert approve lu-practice --fingerprint FINGERPRINT",
        "--override unverified",
    ]);
    scene.world.run(&["status"]).exits(2).says(&["waits for your decision"]);
    scene
        .cert(&["show", ID])
        .exits(2)
        .says(&["No certificate of lu-practice is pinned", "WAITS"]);
    scene.approve(&[]).exits(2).says(&["+352 222 222", "--fingerprint FPR"]);
    scene
        .approve(&["--fingerprint", &"0".repeat(40)])
        .exits(2)
        .says(&["by telephone"]);
    assert!(relay.mails().is_empty());

    scene
        .approve(&[
            "--fingerprint",
            &pretty_fingerprint(&scene.fingerprint()),
            "--verified",
            "phone",
        ])
        .exits(0)
        .says(&["verified     phone", "can be used now"]);
    scene
        .approve(&["--fingerprint", &scene.fingerprint()])
        .exits(2)
        .says(&["no fetched certificate"]);
    scene.fetches(Outcome::Unchanged);
    assert_eq!(text(&scene.send(&[]).exits(0).json()["state"]), "handed");
    scene.world.is_intact();
}

#[test]
fn at_hour_70_a_person_may_use_it_unverified_and_a_better_pin_holds_what_has_not_left() {
    let relay = Relay::troubled(Step::Rcpt, Act::reply("451 4.7.1 later"), 1);
    let scene = Scene::new(&relay);
    scene.world.open_breach(BREACH);
    let unverified = ["--override", "unverified", "--reason", "hour 71"];
    scene
        .send(&unverified)
        .exits(2)
        .says(&["authority cert fetch lu-practice"]);
    scene.fetches(Outcome::Waiting);
    let sent = scene.send(&unverified).exits(2).json();
    assert_eq!(text(&sent["state"]), "queued", "{sent}");
    assert_eq!(text(&sent["protection"]["recipient"]), scene.fingerprint());
    assert_eq!(text(&sent["protection"]["verified"]), "none");
    scene
        .world
        .run(&["breach", "show", scene.world.breach()])
        .says(&["unverified: hour 71"]);

    // They say on the telephone that it is not theirs, and give another one.
    let theirs = key_of(ADDRESS);
    scene.cert(&["refuse", ID, "--reason", "not theirs"]).exits(0);
    scene.import(&theirs).exits(0);
    assert_eq!(text(&scene.world.notice(&text(&sent["reference"]))["state"]), "held");
    let again = scene.fetches(Outcome::Refused);
    assert_eq!(again.fingerprint, scene.fingerprint());
    scene.cert(&["show", ID]).exits(0);
    assert!(relay.mails().is_empty());
    scene.world.is_intact();
}

#[test]
fn a_newer_state_of_the_pinned_certificate_is_taken_by_the_rule() {
    let relay = Relay::sound();
    let scene = Scene::pinned(&relay);
    let before = scene.pin();
    scene.publish(&renewed(&scene.key));
    let found = scene.fetches(Outcome::Updated);
    let differing: Vec<&str> = found
        .comparison
        .iter()
        .filter(|row| row.differs)
        .map(|row| row.what)
        .collect();
    assert_eq!(differing, ["expires", "subkey"], "{found:#?}");
    let after = scene.pin();
    assert_ne!(before["expires"], after["expires"]);
    for kept in ["fingerprint", "verified", "imported_by", "imported_at"] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    // An older copy takes nothing back.
    scene.publish(&scene.key);
    scene.fetches(Outcome::Unchanged);
    assert_eq!(scene.pin()["expires"], after["expires"]);
    scene.world.is_intact();

    // By the other rule, and for a pin that nobody has verified well, it waits; no fingerprint is asked for again.
    for (profile, verified) in [
        (
            PROFILE.replace("url_kind: key,", "url_kind: key, accept_updates: never,"),
            "phone",
        ),
        (PROFILE.to_owned(), "website"),
    ] {
        let scene = Scene::new(&relay);
        scene.profile(&profile);
        scene.fetches(Outcome::Waiting);
        scene
            .approve(&["--fingerprint", &scene.fingerprint(), "--verified", verified])
            .exits(0);
        scene.publish(&renewed(&scene.key));
        scene.fetches(Outcome::Waiting);
        scene.cert(&["show", ID]).exits(2).says(&["! "]);
        let approved = scene.approve(&["--json"]).exits(0).json();
        assert_eq!(text(&approved["verified"]), verified);
        scene.cert(&["show", ID]).exits(0);
    }
}

#[test]
fn a_revocation_counts_at_once_and_for_ever() {
    let relay = Relay::troubled(Step::Rcpt, Act::reply("451 4.7.1 later"), 1);
    let scene = Scene::pinned(&relay);
    scene.world.open_breach(BREACH);
    let queued = scene.send(&[]).exits(2).json();
    assert_eq!(text(&queued["state"]), "queued");
    scene.publish(&revoked(&scene.key));
    scene.fetches(Outcome::Revoked);
    assert_eq!(text(&scene.world.notice(&text(&queued["reference"]))["state"]), "held");
    scene.cert(&["show", ID]).exits(2).says(&["revoked", "stolen"]);
    scene.send(&[]).exits(2).says(&["revoked"]);
    // Neither the web nor a file takes it back.
    scene.publish(&scene.key);
    scene.fetches(Outcome::Unchanged);
    scene.import(&scene.key).exits(2).says(&["revoked"]);
    scene.cert(&["show", ID]).exits(2).says(&["revoked"]);
    assert!(relay.mails().is_empty());
    scene.world.is_intact();
}

#[test]
fn another_key_never_replaces_a_pin_by_itself() {
    let relay = Relay::sound();
    let scene = Scene::pinned(&relay);
    let other = key_of(ADDRESS);
    scene.publish(&other);
    scene.fetches(Outcome::Waiting);
    assert_eq!(text(&scene.pin()["fingerprint"]), scene.fingerprint());
    let shown = scene.cert(&["show", ID]).exits(2).stdout;
    assert_eq!(masked(&shown, &scene.key, &other), SIDE_BY_SIDE);
    scene.approve(&[]).exits(2).says(&["have the fingerprint read out"]);
    let fingerprint = other.fingerprint().to_hex();
    scene
        .approve(&["--fingerprint", &fingerprint, "--verified", "phone"])
        .exits(0);
    assert_eq!(text(&scene.pin()["fingerprint"]), fingerprint);
}

/// What differs from run to run, made the same: the columns stay.
fn masked(shown: &str, pinned: &Cert, fetched: &Cert) -> String {
    let mut shown = shown.to_owned();
    for (cert, letter) in [(pinned, "A"), (fetched, "B")] {
        let fingerprint = cert.fingerprint().to_hex();
        let subkey = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
        shown = shown.replace(&fingerprint, &letter.repeat(40));
        let spoken = pretty_fingerprint(&fingerprint);
        shown = shown.replace(&spoken, &pretty_fingerprint(&letter.repeat(40)));
        shown = shown.replace(&subkey[..16], &letter.to_lowercase().repeat(16));
    }
    let times = Regex::new(r"\d{4}-\d\d-\d\d( \d\d:\d\d)?").unwrap();
    let actor = Regex::new(r"\(by os:[^,]+,").unwrap();
    let shown = times.replace_all(&shown, |found: &regex::Captures<'_>| "9".repeat(found[0].len()));
    actor.replace(&shown, "(by os:WHO,").into_owned()
}

const SIDE_BY_SIDE: &str = include_str!("../golden/certificates-side-by-side.txt");

#[test]
fn what_is_no_usable_certificate_is_not_kept() {
    let relay = Relay::sound();
    let scene = Scene::new(&relay);
    let expired = CertBuilder::new()
        .set_creation_time(days_ago(10))
        .set_validity_period(DAY)
        .add_userid("Practice <authority@practice.example>")
        .add_transport_encryption_subkey()
        .generate()
        .unwrap()
        .0;
    let two = [armored(&scene.key), armored(&key_of(ADDRESS))].concat();
    for (bytes, why) in [
        (b"<!DOCTYPE html><html>Our key</html>".to_vec(), "it is a web page"),
        (two, "2 certificates"),
        (scene.key.as_tsk().armored().to_vec().unwrap(), "secret key"),
        (armored(&revoked(&scene.key)), "revoked"),
        (armored(&expired), "expired"),
        (Vec::new(), "empty"),
    ] {
        scene.web.put(PLACE, Page::File(bytes));
        let error = scene.fetch().unwrap_err();
        assert!(error.needs_person());
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(why), "{why}: {source}");
    }
    assert!(scene.cert(&["show", ID, "--json"]).exits(2).json()["error"].is_object());
}

#[test]
fn the_key_directory_of_the_address_is_asked_where_no_url_is_known() {
    let relay = Relay::sound();
    let scene = Scene::new(&relay);
    let page = PROFILE.replace("url_kind: key", "url_kind: page");
    scene.profile(&page);
    let refused = scene.fetch().unwrap_err().to_string();
    assert!(
        refused.contains("https://keys.practice.example/key.asc") && refused.contains("--wkd"),
        "{refused}"
    );
    assert!(scene.web.asked().is_empty(), "pages are for persons");
    scene.profile(
        &PROFILE
            .lines()
            .filter(|line| !line.starts_with("openpgp"))
            .collect::<Vec<_>>()
            .join("\n"),
    );

    let urls = wkd(ADDRESS).unwrap();
    let place = |url: &str| url.strip_prefix("https://").unwrap().to_owned();
    // The directory gives all the keys of the address: the one that can be used is meant.
    let all = [revoked(&key_of(ADDRESS)).to_vec().unwrap(), scene.key.to_vec().unwrap()].concat();
    scene.web.put(&place(&urls.advanced), Page::File(all.clone()));
    let found = scene.fetches(Outcome::Waiting);
    assert_eq!(
        (found.fingerprint, found.source),
        (scene.fingerprint(), urls.advanced.clone())
    );
    let two = [key_of(ADDRESS).to_vec().unwrap(), scene.key.to_vec().unwrap()].concat();
    scene.web.put(&place(&urls.advanced), Page::File(two));
    assert!(
        matches!(scene.fetch(), Err(DeskError::Fetched { .. })),
        "which one is meant is not clear"
    );
    // Only where its host does not exist is the domain itself asked.
    scene.web.put(&place(&urls.direct), Page::File(all));
    scene.web.put(&place(&urls.advanced), Page::Status(404));
    assert!(matches!(scene.fetch(), Err(DeskError::Fetch { .. })));
    scene.web.forget("openpgpkey.practice.example");
    assert_eq!(scene.fetches(Outcome::Waiting).source, urls.direct);
}

#[test]
fn pinned_certificates_are_looked_for_once_a_week() {
    let relay = Relay::sound();
    let scene = Scene::pinned(&relay);
    let asked = scene.web.asked().len();
    let by = Actor::Loop("certificates".to_owned());
    let look = async |days| {
        let office = scene.office(TimeDelta::days(days));
        certificate::refetch_from(&scene.web.world(), &office, &by)
            .await
            .unwrap()
    };
    let looked = |days| scene.runtime.block_on(look(days));
    assert_eq!(looked(6), 0, "it has just been imported");
    scene.publish(&renewed(&scene.key));
    let (first, second) = scene.runtime.block_on(async { tokio::join!(look(8), look(8)) });
    assert_eq!(first + second, 1, "two daemons look once");
    assert_eq!(looked(14), 0);
    let shown = scene.pin();
    assert!(
        text(&shown["last_look"]["result"]).starts_with("a newer state"),
        "{shown}"
    );
    scene.web.put(PLACE, Page::Status(500));
    assert_eq!(looked(16), 1);
    assert_eq!(looked(16), 0);
    assert_eq!(looked(18), 1, "a look that failed is repeated the next day");
    assert_eq!(scene.web.asked().len(), asked + 3);
    scene.world.is_intact();
}
