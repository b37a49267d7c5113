//! No certificate that can be used, or no e-mail at all: nothing leaves, the draft is kept, and the way through is shown.

use std::sync::Arc;

use breachpost::config::Home;
use breachpost::dispatch::office::Office;
use breachpost::message::key::{self, Algorithm, Generated};
use breachpost::model::id::Actor;
use breachpost::model::{Clock, SystemClock, Time};
use breachpost::secret::Secret;
use breachpost::store::Pin;
use chrono::TimeDelta;
use sequoia_openpgp::Cert;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::serialize::SerializeInto;

use crate::world::relay::Relay;
use crate::world::{AUTHORITY, AUTHORITY_ADDRESS, BREACH, World, text};

#[test]
fn without_a_certificate_the_draft_is_kept_and_the_ladder_is_shown() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach(BREACH);

    let refused = world.send(&[]).exits(2);
    let draft = refused.json();
    assert_eq!(draft["state"], "draft");
    assert_eq!(draft["attempts"].as_array().unwrap().len(), 0);
    let rungs = draft["error"]["ladder"]["rungs"].as_array().unwrap();
    assert!(rungs.len() >= 2, "{draft}");
    let reference = text(&draft["reference"]);
    world.send(&[]).exits(2).says(&[
        "cannot be sealed",
        "no certificate of National Data Protection Commission was imported yet",
        "What can be done now (",
        "+352 26 10 60 1",
        "breachpost authority cert import lu-cnpd FILE --fingerprint FINGERPRINT --verified phone",
        &format!(
            "breachpost notice send {} --to lu-cnpd --override passphrase --reason WHY",
            world.breach()
        ),
        // The CNPD's telephone takes no notices: it is for asking, and calls are logged, not booked as a notice.
        &format!("breachpost breach log {} --kind call", world.breach()),
    ]);
    assert_eq!(world.notices().len(), 1, "asking twice keeps one draft");
    assert_eq!(relay.connections(), 0);
    world.run(&["status"]).exits(2).says(&[&reference]);

    world.import_certificate();
    let sent = world.send(&[]).exits(0).json();
    assert_eq!(
        (text(&sent["reference"]), text(&sent["state"])),
        (reference, "handed".to_owned())
    );
    assert_eq!(world.notices().len(), 1, "the draft has become the notice");
}

/// A key made some days ago that holds for some days.
pub fn made(days_ago: i64, days: i64) -> Generated {
    let then = SystemClock.now() - TimeDelta::days(days_ago);
    let passphrase = Secret::new("only the authority knows");
    key::generate(
        "CNPD",
        AUTHORITY_ADDRESS,
        Algorithm::Ed25519,
        TimeDelta::days(days),
        &passphrase,
        then,
    )
    .unwrap()
}

pub fn expired() -> String {
    made(100, 10).public_armored
}

pub fn revoked() -> String {
    let made = made(10, 100);
    let revocation = sequoia_openpgp::Packet::from_bytes(made.revocation_armored.expose()).unwrap();
    let cert = Cert::from_bytes(made.public_armored.as_bytes()).unwrap();
    let (cert, _) = cert.insert_packets(revocation).unwrap();
    String::from_utf8(cert.armored().to_vec().unwrap()).unwrap()
}

#[test]
fn expired_and_revoked_certificates_are_not_imported_and_not_used_when_they_were() {
    let relay = Relay::sound();
    for (certificate, why) in [(expired(), "expired"), (revoked(), "revoked")] {
        let world = World::new(&relay);
        world.open_breach(BREACH);
        let fingerprint = Cert::from_bytes(certificate.as_bytes()).unwrap().fingerprint().to_hex();
        world
            .pin(&certificate, &fingerprint, &[])
            .exits(2)
            .says(&["the certificate was not imported", why]);

        pin(&world, &certificate, &fingerprint, SystemClock.now());
        world
            .run(&["authority", "cert", "show", AUTHORITY])
            .exits(2)
            .says(&["CANNOT BE USED NOW", why]);
        world.run(&["doctor"]).says(&[why]);
        let refused = world.send(&[]).exits(2).says(&[why, "What can be done now"]);
        assert_eq!(refused.json()["state"], "draft");
    }
    assert!(relay.mails().is_empty());
}

/// As if it had been imported when it was still good.
fn pin(world: &World, certificate: &str, fingerprint: &str, now: Time) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
        let pin = Pin {
            authority: AUTHORITY.to_owned(),
            fingerprint: fingerprint.to_owned(),
            certificate: certificate.as_bytes().to_vec(),
            verified: "phone".to_owned(),
            accepted_user_id: None,
            imported_by: Actor::Os("test".to_owned()),
            imported_at: now,
        };
        office.store.pin(pin, now).await.unwrap();
    });
}

#[test]
fn an_authority_without_e_mail_is_told_by_its_portal() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    world
        .run(&["notice", "send", world.breach(), "--to", "be-apd-gba", "--yes"])
        .exits(2)
        .says(&[
            "takes no breach notices by e-mail",
            "https://www.dataprotectionauthority.be/data-breach-notification-form",
            &format!(
                "breachpost notice record {} --to be-apd-gba --channel portal --reference NUMBER",
                world.breach()
            ),
        ]);
    assert!(world.notices().is_empty() && relay.connections() == 0);
}
