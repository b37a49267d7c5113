//! Our key, sealing, and the check that a sealed mail must pass.

use std::time::SystemTime;

use breachpost::message::key::{self, Algorithm, KeyError, OurKey};
use breachpost::message::mime::{Content, Headers, Mailbox, clear_mail};
use breachpost::message::seal::{Flaw, SealError, Sealed, seal, self_check};
use breachpost::secret::Secret;
use chrono::TimeDelta;
use sequoia_openpgp as openpgp;

use openpgp::cert::{CertBuilder, CipherSuite};
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::{Serialize, SerializeInto};
use openpgp::types::{Features, KeyFlags};
use openpgp::{Cert, Packet, Profile};

use crate::{OUR_KEY, OURS, PASSPHRASE, armor_in, checked, content, headers, now, recipient_with, small, usable};

#[test]
fn readers_that_announce_newer_formats_still_get_seipdv1() {
    for profile in [Profile::RFC4880, Profile::RFC9580] {
        let (secret, _) = recipient_with(|b| {
            b.set_profile(profile)
                .unwrap()
                .set_features(Features::sequoia())
                .unwrap()
        });
        let to = usable(&secret.clone().strip_secret_key_material().armored().to_vec().unwrap());
        let sealed = checked(&small(), &to);
        let inner = decrypt_as(&secret, &armor_in(&sealed.mail));
        assert_eq!(inner, sealed.content);
    }
}

/// The reader's side, by the bare library.
fn decrypt_as(secret: &Cert, armored: &[u8]) -> Vec<u8> {
    use openpgp::parse::stream::{DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper};
    struct Reader<'a>(&'a Cert);
    impl VerificationHelper for Reader<'_> {
        fn get_certs(&mut self, _: &[openpgp::KeyHandle]) -> openpgp::Result<Vec<Cert>> {
            Ok(vec![OUR_KEY.certificate().clone()])
        }
        fn check(&mut self, _: MessageStructure<'_>) -> openpgp::Result<()> {
            Ok(())
        }
    }
    impl DecryptionHelper for Reader<'_> {
        fn decrypt(
            &mut self,
            pkesks: &[openpgp::packet::PKESK],
            _: &[openpgp::packet::SKESK],
            algorithm: Option<openpgp::types::SymmetricAlgorithm>,
            decrypt: &mut dyn FnMut(Option<openpgp::types::SymmetricAlgorithm>, &openpgp::crypto::SessionKey) -> bool,
        ) -> openpgp::Result<Option<Cert>> {
            for key in self.0.keys().secret() {
                let mut pair = key.key().clone().into_keypair()?;
                for pkesk in pkesks {
                    if pkesk.decrypt(&mut pair, algorithm).is_some_and(|(a, s)| decrypt(a, &s)) {
                        return Ok(Some(self.0.clone()));
                    }
                }
            }
            panic!("not encrypted to the reader")
        }
    }
    let policy = StandardPolicy::new();
    let mut plain = Vec::new();
    let mut decryptor = DecryptorBuilder::from_bytes(armored)
        .unwrap()
        .with_policy(&policy, SystemTime::from(now()), Reader(secret))
        .unwrap();
    std::io::copy(&mut decryptor, &mut plain).unwrap();
    plain
}

#[test]
fn a_sealed_mail_tells_nothing_outside() {
    let (secret, _) = recipient_with(|b| b);
    let sealed = checked(
        &content(),
        &usable(&secret.strip_secret_key_material().to_vec().unwrap()),
    );
    let mail = std::str::from_utf8(&sealed.mail).unwrap();
    let head = mail.split("\r\n\r\n").next().unwrap();
    assert!(head.contains("\r\nSubject: BP-7K3M-Q2XR\r\n"), "{head}");
    for absent in ["Art. 33", "Verletzung", "Auto-Submitted", "Precedence"] {
        assert!(!mail.contains(absent), "{absent}");
    }
    assert!(mail.is_ascii() && mail.ends_with("\r\n") && !mail.replace("\r\n", "").contains(['\r', '\n']));
    assert!(mail.lines().all(|line| line.len() <= 78));
    let inner = std::str::from_utf8(&sealed.content).unwrap();
    assert!(inner.is_ascii() && inner.lines().all(|line| line.len() <= 78));
    for present in [
        "protected-headers=\"v1\"",
        "hp=\"cipher\"",
        "HP-Outer: Subject: BP-7K3M-Q2XR\r\n",
        "HP-Outer: Message-ID: <bp.7k3mq2xr@example.lu>\r\n",
        "Message-ID: <bp.7k3mq2xr@example.lu>\r\n",
        "application/pgp-keys",
        "Content-Language: de\r\n",
    ] {
        assert!(inner.contains(present), "{present}");
    }
}

#[test]
fn the_check_finds_whatever_was_changed() {
    let (secret, _) = recipient_with(|b| b);
    let to = usable(&secret.strip_secret_key_material().to_vec().unwrap());
    let (other, _) = recipient_with(|b| b);
    let other = usable(&other.strip_secret_key_material().to_vec().unwrap());
    let content = small();
    let good = checked(&content, &to);
    let flaw = |sealed: &Sealed, content: &Content| match self_check(sealed, content, &OUR_KEY, &to) {
        Err(SealError::Check(flaw)) => flaw,
        other => panic!("{other:?}"),
    };
    let with_packets = |change: &dyn Fn(Vec<Packet>) -> Vec<Packet>| {
        let packets = change(
            openpgp::PacketPile::from_bytes(&armor_in(&good.mail))
                .unwrap()
                .into_children()
                .collect(),
        );
        let mut bytes = Vec::new();
        {
            let mut writer = openpgp::armor::Writer::new(&mut bytes, openpgp::armor::Kind::Message).unwrap();
            for packet in packets {
                packet.serialize(&mut writer).unwrap();
            }
            writer.finalize().unwrap();
        }
        let armored = String::from_utf8(bytes).unwrap().trim_end().replace('\n', "\r\n");
        let mail = String::from_utf8(good.mail.clone()).unwrap();
        let mail = mail
            .replace(std::str::from_utf8(&armor_in(&good.mail)).unwrap(), &armored)
            .into_bytes();
        Sealed { mail, ..good.clone() }
    };
    assert_eq!(
        self_check(&with_packets(&|p| p), &content, &OUR_KEY, &to).map_err(|e| e.to_string()),
        Ok(())
    );

    let dropped = with_packets(&|p| p.into_iter().skip(1).collect());
    assert!(matches!(flaw(&dropped, &content), Flaw::Recipients { .. }));
    let for_another = seal(&content, &headers(), &OUR_KEY, &other, now()).unwrap();
    assert!(matches!(flaw(&for_another, &content), Flaw::Recipients { .. }));
    let headless = with_packets(&|p| p.into_iter().take(2).collect());
    assert_eq!(flaw(&headless, &content), Flaw::NoCiphertext);
    let marked = with_packets(&|mut p| {
        p.insert(0, openpgp::packet::Marker::default().into());
        p
    });
    assert!(matches!(flaw(&marked, &content), Flaw::StrangePacket { .. }));
    let beside = with_packets(&|mut p| {
        let mut literal = openpgp::packet::Literal::new(openpgp::types::DataFormat::Binary);
        literal.set_body(b"in clear".to_vec());
        p.push(literal.into());
        p
    });
    assert!(matches!(flaw(&beside, &content), Flaw::StrangePacket { .. }));

    let armor = armor_in(&good.mail);
    let at = good.mail.windows(armor.len()).position(|w| w == armor).unwrap();
    for offset in [200, armor.len() / 2, armor.len() - 60] {
        let mut mail = good.mail.clone();
        let spot = (at + offset..).find(|i| mail[*i].is_ascii_alphanumeric()).unwrap();
        mail[spot] = if mail[spot] == b'A' { b'B' } else { b'A' };
        flaw(&Sealed { mail, ..good.clone() }, &content);
    }
    let emptied = Sealed {
        mail: [&good.mail[..at], b"\r\n", &good.mail[at + armor.len()..]].concat(),
        ..good.clone()
    };
    assert_eq!(flaw(&emptied, &content), Flaw::NoCiphertext);

    let mut another = content.clone();
    another.text.push_str("more");
    assert_eq!(flaw(&good, &another), Flaw::Content { what: "text" });
    let swapped = Sealed {
        content: seal(&another, &headers(), &OUR_KEY, &to, now()).unwrap().content,
        ..good.clone()
    };
    assert!(matches!(
        flaw(&swapped, &another),
        Flaw::Content { .. } | Flaw::Undecryptable { .. }
    ));
    let renamed = Content {
        subject: "Something else".to_owned(),
        ..content.clone()
    };
    assert_eq!(flaw(&good, &renamed), Flaw::Content { what: "subject" });
    let added = Content {
        attachments: crate::content().attachments,
        ..content.clone()
    };
    assert_eq!(flaw(&good, &added), Flaw::Content { what: "attachments" });
    let digest = Sealed {
        content_sha256: "00".repeat(32),
        ..good.clone()
    };
    assert_eq!(flaw(&digest, &content), Flaw::Content { what: "digest" });

    let telling = Headers {
        outer_subject: format!("Re: {}", content.subject),
        ..headers()
    };
    let leaking = seal(&content, &telling, &OUR_KEY, &to, now()).unwrap();
    assert_eq!(
        flaw(&leaking, &content),
        Flaw::SubjectInClear {
            header: "Subject".to_owned()
        }
    );
    let clear = Sealed {
        mail: clear_mail(&content, &headers()).unwrap(),
        ..good
    };
    assert_eq!(flaw(&clear, &content), Flaw::NotPgpMime);
}

#[test]
fn no_header_value_can_begin_a_header_of_its_own() {
    const EVIL: &str = "x\r\nBcc: everybody@example.org";
    type Change = Box<dyn Fn(&mut Content, &mut Headers)>;
    let cases: Vec<(&str, Change)> = vec![
        ("Subject", Box::new(|c, _| c.subject = EVIL.into())),
        ("Subject", Box::new(|_, h| h.outer_subject = EVIL.into())),
        ("From", Box::new(|_, h| h.from.name = Some(EVIL.into()))),
        ("From", Box::new(|_, h| h.from.address = format!("{EVIL}@example.org"))),
        (
            "Reply-To",
            Box::new(|_, h| h.reply_to = Some(Mailbox::new(Some("a\0b"), "a@example.org"))),
        ),
        (
            "To",
            Box::new(|_, h| h.to.address = "a@example.org\nBcc: b@example.org".into()),
        ),
        (
            "To",
            Box::new(|_, h| h.to.address = "a@example.org>, <b@example.org".into()),
        ),
        ("Message-ID", Box::new(|_, h| h.message_id = format!("<{EVIL}>"))),
        (
            "Message-ID",
            Box::new(|_, h| h.message_id = "no brackets@example.org".into()),
        ),
        (
            "In-Reply-To",
            Box::new(|_, h| h.in_reply_to = Some("<a@b>\r\n\r\nbody".into())),
        ),
        ("References", Box::new(|_, h| h.references.push("<a@b>\rX: y".into()))),
        ("X-Note", Box::new(|_, h| h.extra.push(("X-Note".into(), EVIL.into())))),
        (
            "X-Note\\r",
            Box::new(|_, h| h.extra.push(("X-Note\r\nBcc".into(), "x".into()))),
        ),
        (
            "Bcc",
            Box::new(|_, h| h.extra.push(("Bcc".into(), "a@example.org".into()))),
        ),
        (
            "Content-Type",
            Box::new(|_, h| h.extra.push(("Content-Type".into(), "text/html".into()))),
        ),
        ("language", Box::new(|c, _| c.language = "de\r\nX: y".into())),
        ("Content-Type", Box::new(|c, _| c.attachments[0].name = "a\r\nb".into())),
        (
            "media type",
            Box::new(|c, _| c.attachments[0].media_type = "text/plain\r\nX: y".into()),
        ),
        (
            "media type",
            Box::new(|c, _| c.attachments[0].media_type = "message/rfc822".into()),
        ),
    ];
    let (secret, _) = recipient_with(|b| b);
    let to = usable(&secret.strip_secret_key_material().to_vec().unwrap());
    for (named, change) in cases {
        let (mut content, mut headers) = (content(), headers());
        change(&mut content, &mut headers);
        let text = clear_mail(&content, &headers).map(|m| String::from_utf8(m).unwrap());
        // The outer subject of a clear mail is not used; the sealed one refuses it.
        if let Err(refused) = &text {
            let name = named.split('\\').next().unwrap();
            assert!(refused.to_string().contains(name), "{named}: {refused}");
            assert!(!refused.to_string().contains("example.org"), "{refused}");
        } else {
            assert_eq!(named, "Subject", "{named} was taken");
        }
        assert!(
            matches!(seal(&content, &headers, &OUR_KEY, &to, now()), Err(SealError::Mime(_))),
            "{named}"
        );
    }
}

#[test]
fn our_key_is_refused_with_the_reason() {
    let passphrase = Secret::new(PASSPHRASE);
    let now = now();
    let secret = OURS.secret_armored.expose().as_bytes();
    let short = key::generate(
        "",
        "dpo@example.lu",
        Algorithm::Ed25519,
        TimeDelta::days(1),
        &passphrase,
        now,
    )
    .unwrap();
    let of = |change: &dyn Fn(CertBuilder<'static>) -> CertBuilder<'static>| {
        let builder = CertBuilder::new()
            .add_userid("<dpo@example.lu>")
            .set_cipher_suite(CipherSuite::Cv25519);
        change(builder).generate().unwrap().0.as_tsk().to_vec().unwrap()
    };
    let no_signing = of(&|b| {
        b.set_primary_key_flags(KeyFlags::empty().set_certification())
            .add_transport_encryption_subkey()
    });
    let no_encryption = of(&|b| b.add_signing_subkey());
    for (wanted, bytes, passphrase, at) in [
        ("no OpenPGP key", b"nonsense".as_slice(), &passphrase, now),
        ("no OpenPGP key", b"", &passphrase, now),
        ("public certificate", OURS.public_armored.as_bytes(), &passphrase, now),
        (
            "holds 2 keys",
            &[no_signing.as_slice(), &no_encryption].concat(),
            &passphrase,
            now,
        ),
        ("passphrase", secret, &Secret::new("wrong"), now),
        (
            "expired",
            short.secret_armored.expose().as_bytes(),
            &passphrase,
            now + TimeDelta::days(2),
        ),
        ("clock", secret, &passphrase, now - TimeDelta::days(2)),
        ("no valid signing", &no_signing, &passphrase, now + TimeDelta::days(1)),
        (
            "no valid encryption",
            &no_encryption,
            &passphrase,
            now + TimeDelta::days(1),
        ),
    ] {
        let error = OurKey::load(bytes, passphrase, at).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let ours = OurKey::load(short.secret_armored.expose().as_bytes(), &passphrase, now).unwrap();
    let (reader, _) = recipient_with(|b| b);
    let to = usable(&reader.strip_secret_key_material().to_vec().unwrap());
    let late = seal(&small(), &headers(), &ours, &to, now + TimeDelta::days(2));
    assert!(matches!(late, Err(SealError::Key(KeyError::Expired { .. }))));
    assert!(!format!("{ours:?}").contains("secret"));
    assert!(key::generate("a", "b@c\n", Algorithm::Ed25519, TimeDelta::days(1), &passphrase, now).is_err());
    assert!(
        key::generate(
            "a",
            "b@c",
            Algorithm::Ed25519,
            TimeDelta::days(1),
            &Secret::new(""),
            now
        )
        .is_err()
    );
}

#[test]
fn checkpoints_are_signed_and_verified() {
    let certificate = OUR_KEY.public_armored().as_bytes();
    let signature = OUR_KEY.sign_detached(b"length 7, head abc", now()).unwrap();
    let verify =
        |certificate: &[u8], data: &[u8], signature: &[u8], at| key::verify_detached(certificate, data, signature, at);
    assert_eq!(
        verify(certificate, b"length 7, head abc", signature.as_bytes(), now()).unwrap(),
        OUR_KEY.fingerprint()
    );
    // Years later, when the key has long expired, an old checkpoint still counts.
    let later = now() + TimeDelta::days(4000);
    assert!(verify(certificate, b"length 7, head abc", signature.as_bytes(), later).is_ok());
    let (other, _) = recipient_with(|b| b.add_signing_subkey());
    let other = other.strip_secret_key_material().to_vec().unwrap();
    assert!(verify(certificate, b"length 6, head abc", signature.as_bytes(), now()).is_err());
    assert!(verify(&other, b"length 7, head abc", signature.as_bytes(), now()).is_err());
    assert!(verify(certificate, b"length 7, head abc", b"", now()).is_err());
    assert!(verify(certificate, b"length 7, head abc", certificate, now()).is_err());
}
