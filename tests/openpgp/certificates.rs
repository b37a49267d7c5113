//! Certificates: each defect has an error of its own.

use std::time::{Duration, SystemTime};

use breachpost::directory::certificate::{self, CertificateError, judge, judge_despite_expiry, read_one};
use chrono::TimeDelta;
use sequoia_openpgp as openpgp;

use openpgp::cert::CertBuilder;
use openpgp::crypto::KeyPair;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::serialize::SerializeInto;
use openpgp::types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};
use openpgp::{Cert, Packet, Profile};

use crate::{now, recipient_with};

#[test]
fn bad_certificates_each_have_their_own_error() {
    let now = now();
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let (secret, revocation) = recipient_with(|b| b);
    let public = secret.clone().strip_secret_key_material();
    let second = recipient_with(|b| b).0.strip_secret_key_material();
    let two = [public.to_vec().unwrap(), second.to_vec().unwrap()].concat();
    let armored = public.armored().to_vec().unwrap();

    for (wanted, bytes) in [
        ("empty", b"  \r\n".to_vec()),
        ("web page", b"<!DOCTYPE html><html>key</html>".to_vec()),
        (
            "X.509",
            b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_vec(),
        ),
        ("damaged", armored[..armored.len() / 2].to_vec()),
        ("damaged", b"hello".to_vec()),
        ("secret key", secret.as_tsk().armored().to_vec().unwrap()),
        ("2 certificates", two),
        (
            "2 certificates",
            [armored.as_slice(), &second.armored().to_vec().unwrap()].concat(),
        ),
        (
            "secret key",
            [armored.as_slice(), &secret.as_tsk().armored().to_vec().unwrap()].concat(),
        ),
    ] {
        let error = read_one(&bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }

    let judged = |cert: &Cert| judge(cert, Some("MELDUNG@aufsicht.example"), now).unwrap_err();
    let revoked = public.clone().insert_packets(vec![Packet::from(revocation)]).unwrap().0;
    assert!(matches!(judged(&revoked), CertificateError::Revoked { .. }));
    assert!(matches!(
        judge_despite_expiry(&revoked, None, now),
        Err(CertificateError::Revoked { .. })
    ));

    let (expired, _) = recipient_with(|b| b.set_validity_period(days(10)));
    let CertificateError::Expired { what, on, .. } = judged(&expired) else {
        panic!()
    };
    assert_eq!(
        (what, (on - (now - TimeDelta::days(90))).num_hours()),
        ("certificate", 0)
    );
    assert_eq!(judge_despite_expiry(&expired, None, now).unwrap().keys().len(), 1);

    let bare = || {
        CertBuilder::new()
            .set_profile(Profile::RFC4880)
            .unwrap()
            .set_creation_time(SystemTime::from(now - TimeDelta::days(100)))
            .add_userid("Aufsicht <meldung@aufsicht.example>")
    };
    let encryption = KeyFlags::empty().set_transport_encryption();
    let (subkey_expired, _) = bare()
        .add_subkey(encryption.clone(), days(10), None)
        .generate()
        .unwrap();
    assert!(matches!(
        judged(&subkey_expired),
        CertificateError::Expired {
            what: "encryption subkey",
            ..
        }
    ));
    assert!(judge_despite_expiry(&subkey_expired, None, now).is_ok());
    let (signing_only, _) = bare().add_signing_subkey().generate().unwrap();
    assert!(matches!(
        judged(&signing_only),
        CertificateError::NoEncryptionKey { .. }
    ));
    let (later, _) = bare()
        .set_creation_time(SystemTime::from(now + TimeDelta::days(2)))
        .add_transport_encryption_subkey()
        .generate()
        .unwrap();
    assert!(matches!(judged(&later), CertificateError::NotYetValid { .. }));
    assert!(matches!(
        judge(&public, Some("other@aufsicht.example"), now),
        Err(CertificateError::NoSuchAddress { .. })
    ));
    assert!(matches!(
        judged(&sha1_bound(&public, &secret)),
        CertificateError::Sha1 {
            what: "certificate",
            ..
        }
    ));
    let (subkey_later, _) = bare()
        .set_creation_time(SystemTime::from(now - TimeDelta::days(100)))
        .generate()
        .unwrap();
    assert!(matches!(
        judged(&with_later_subkey(&subkey_later)),
        CertificateError::NotYetValid {
            what: "encryption subkey",
            ..
        }
    ));
    let subkey_revoked = revoke_subkeys(&secret);
    assert!(matches!(
        judged(&subkey_revoked),
        CertificateError::NoEncryptionKey { .. }
    ));

    let good = judge(&public, Some("MELDUNG@AUFSICHT.example"), now).unwrap();
    assert_eq!(good.expires(), None);
    let facts = certificate::describe(&public, now);
    assert_eq!((facts.problems.len(), facts.version), (0, 4));
    assert_eq!(facts.expiry, "does not expire, which is fine");
    assert_eq!(facts.subkeys[0].uses, ["encryption"]);
    assert_eq!(certificate::describe(&revoked, now).problems.len(), 1);
}

fn signer_of(secret: &Cert) -> KeyPair {
    let key = secret.primary_key().key().clone();
    key.parts_into_secret().unwrap().into_keypair().unwrap()
}

/// The same certificate, held together by SHA-1 only.
fn sha1_bound(public: &Cert, secret: &Cert) -> Cert {
    let mut signer = signer_of(secret);
    let at = SystemTime::from(now() - TimeDelta::days(99));
    let primary = Packet::from(public.primary_key().key().clone());
    let id = public.userids().next().unwrap().userid().clone();
    let signature = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_hash_algo(HashAlgorithm::SHA1)
        .set_signature_creation_time(at)
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_certification().set_transport_encryption())
        .unwrap()
        .sign_userid_binding(&mut signer, None, &id)
        .unwrap();
    Cert::from_packets([primary, id.into(), signature.into()].into_iter()).unwrap()
}

/// The same certificate with an encryption subkey whose maker's clock was two days ahead.
fn with_later_subkey(secret: &Cert) -> Cert {
    openpgp::cert::KeyBuilder::new(KeyFlags::empty().set_transport_encryption())
        .set_creation_time(SystemTime::from(now() + TimeDelta::days(2)))
        .subkey(
            secret
                .with_policy(&openpgp::policy::StandardPolicy::new(), None)
                .unwrap(),
        )
        .unwrap()
        .set_signature_creation_time(SystemTime::from(now() + TimeDelta::days(2)))
        .unwrap()
        .attach_cert()
        .unwrap()
        .strip_secret_key_material()
}

fn revoke_subkeys(secret: &Cert) -> Cert {
    let mut signer = signer_of(secret);
    let revocations: Vec<Packet> = secret
        .keys()
        .subkeys()
        .map(|key| {
            openpgp::cert::SubkeyRevocationBuilder::new()
                .set_reason_for_revocation(ReasonForRevocation::KeyRetired, b"retired")
                .unwrap()
                .set_signature_creation_time(SystemTime::from(now() - TimeDelta::days(1)))
                .unwrap()
                .build(&mut signer, secret, key.key(), None)
                .unwrap()
                .into()
        })
        .collect();
    secret
        .clone()
        .strip_secret_key_material()
        .insert_packets(revocations)
        .unwrap()
        .0
}

/// Whoever reads a refusal knows what to do next.
#[test]
fn each_refusal_says_what_to_do() {
    let on = now();
    let fingerprint = || "F".repeat(40);
    for (wanted, error) in [
        ("ask for the file again", CertificateError::Empty),
        ("gpg --armor --export", CertificateError::TooLarge),
        (
            "--accept-expired",
            CertificateError::Expired {
                fingerprint: fingerprint(),
                what: "certificate",
                on,
            },
        ),
        (
            "ask for the new one",
            CertificateError::Revoked {
                fingerprint: fingerprint(),
                reason: "Key is superseded".to_owned(),
                on,
            },
        ),
        (
            "clock",
            CertificateError::NotYetValid {
                fingerprint: fingerprint(),
                what: "certificate",
                from: on,
            },
        ),
        (
            "ask for one with a valid encryption subkey",
            CertificateError::NoEncryptionKey {
                fingerprint: fingerprint(),
                why: "it has no encryption subkey",
            },
        ),
        (
            "--accept-user-id REASON",
            CertificateError::NoSuchAddress {
                fingerprint: fingerprint(),
                wanted: "meldung@aufsicht.example".to_owned(),
                found: "no address".to_owned(),
            },
        ),
        (
            "at least 2048 bits",
            CertificateError::Weak {
                fingerprint: fingerprint(),
                what: "it uses DSA 2048".to_owned(),
            },
        ),
        (
            "sign it anew",
            CertificateError::Sha1 {
                fingerprint: fingerprint(),
                what: "certificate",
            },
        ),
    ] {
        let text = error.to_string();
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

/// Certificates of version 6 (RFC 9580) are as good as any.
#[test]
fn version_6_is_judged_like_any_other() {
    let make = |change: fn(CertBuilder<'static>) -> CertBuilder<'static>| {
        let builder = |b: CertBuilder<'static>| change(b.set_profile(Profile::RFC9580).unwrap());
        recipient_with(builder).0.strip_secret_key_material()
    };
    let read = |cert: &Cert| read_one(&cert.armored().to_vec().unwrap()).unwrap();
    let good = read(&make(|b| b));
    assert_eq!(certificate::describe(&good, now()).version, 6);
    let usable = judge(&good, Some("meldung@aufsicht.example"), now()).unwrap();
    assert_eq!((usable.fingerprint().len(), usable.expires()), (64, None));
    certificate::check_fingerprint(&good, &certificate::pretty_fingerprint(usable.fingerprint())).unwrap();
    let expired = read(&make(|b| b.set_validity_period(Duration::from_secs(86_400))));
    let refused = judge(&expired, None, now()).unwrap_err();
    assert!(matches!(refused, CertificateError::Expired { .. }), "{refused}");
}

#[test]
fn fingerprints_as_people_give_them() {
    let (secret, _) = recipient_with(|b| b);
    let cert = secret.strip_secret_key_material();
    let hex = cert.fingerprint().to_hex();
    let pretty = certificate::pretty_fingerprint(&hex);
    for given in [
        hex.clone(),
        hex.to_lowercase(),
        pretty.clone(),
        format!(" 0x{hex}\n"),
        pretty.replace(' ', ":"),
    ] {
        certificate::check_fingerprint(&cert, &given).unwrap();
    }
    let subkey = cert.keys().subkeys().next().unwrap().key().fingerprint().to_hex();
    for (given, wanted) in [
        (hex[24..].to_owned(), "key id"),
        (hex[32..].to_owned(), "key id"),
        (hex[1..].to_owned(), "no fingerprint"),
        ("Ä".repeat(40), "no fingerprint"),
        (String::new(), "no fingerprint"),
        ("0".repeat(40), "by telephone"),
        (subkey, "subkey"),
    ] {
        let error = certificate::check_fingerprint(&cert, &given).unwrap_err().to_string();
        assert!(error.contains(wanted), "{given}: {error}");
    }
}
