//! What is not PGP/MIME: sealed files beside a cover text, sealing with a passphrase, signed mail in clear.

use breachpost::message::mime::{Attachment, Content, Headers};
use breachpost::message::open::{Protection, Signature, open};
use breachpost::message::seal::{
    Flaw, SealError, Sealed, check_files, check_signed, fresh_passphrase, seal_files, sealed_files, self_check,
    signed_mail,
};
use breachpost::secret::Secret;
use sequoia_openpgp::serialize::SerializeInto;

use crate::gnupg::Gpg;
use crate::{OUR_KEY, attached, content, headers, now, recipient_with, signed_parts, small, usable};

const COVER: &str = "Example S.A. writes to you about BP-7K3M-Q2XR.\r\nSave the files and open them with your OpenPGP \
                     program.\r\nQuestions: +352 1234\r\n";

#[test]
fn gnupg_opens_each_file_and_the_notice_names_them() {
    let gpg = Gpg::new();
    gpg.ok(&["--import"], OUR_KEY.public_armored().as_bytes());
    let to = usable(&gpg.make_key("meldung@aufsicht.example", "rsa3072", "rsa3072"));
    let content = content();
    let sealed = seal_files(&content, COVER, &headers(), &OUR_KEY, &to, now()).unwrap();
    self_check(&sealed, &content, &OUR_KEY, &to).unwrap();

    let files = attached(&sealed.mail);
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names[..3], ["notice.txt.gpg", "file-2.pdf.gpg", "file-3.bin.gpg"]);
    assert_eq!(files[3].bytes, OUR_KEY.public_armored().as_bytes());
    let opened: Vec<Vec<u8>> = files[..3].iter().map(|file| decrypt(&gpg, &file.bytes)).collect();
    let notice = String::from_utf8(opened[0].clone()).unwrap();
    for present in [
        content.subject.as_str(),
        &content.text,
        "file-2.pdf = Anhang – Übersicht.pdf",
        "file-3.bin = large.bin\r\n3000000 bytes, SHA-256 ",
    ] {
        assert!(notice.contains(present), "{present}");
    }
    assert_eq!(opened[1], content.attachments[0].bytes);
    assert!(opened[2] == content.attachments[1].bytes);

    let loose = sealed_files(&content, &OUR_KEY, &to, now()).unwrap();
    check_files(&loose, &content, &OUR_KEY, &to, now()).unwrap();
    assert_eq!(decrypt(&gpg, &loose[0].bytes), opened[0]);
}

/// Decrypts and demands our signature, SEIPDv1 and AES-256.
fn decrypt(gpg: &Gpg, file: &[u8]) -> Vec<u8> {
    decrypt_with(gpg, &[], file)
}

fn decrypt_with(gpg: &Gpg, options: &[&str], file: &[u8]) -> Vec<u8> {
    let (success, plain, status) = gpg.run(&[options, &["--decrypt"]].concat(), file);
    assert!(success, "{status}");
    for present in ["VALIDSIG", OUR_KEY.fingerprint(), "GOODMDC", "DECRYPTION_INFO 2 9"] {
        assert!(status.contains(present), "{present}: {status}");
    }
    plain
}

#[test]
fn a_mail_of_files_tells_nothing_outside() {
    let (secret, _) = recipient_with(|b| b);
    let to = usable(&secret.strip_secret_key_material().to_vec().unwrap());
    let passphrase = fresh_passphrase();
    for sealed in [
        seal_files(&content(), COVER, &headers(), &OUR_KEY, &to, now()).unwrap(),
        seal_files(&content(), COVER, &headers(), &OUR_KEY, &passphrase, now()).unwrap(),
    ] {
        let mail = std::str::from_utf8(&sealed.mail).unwrap();
        assert!(mail.starts_with("From: ") && mail.contains("\r\nSubject: BP-7K3M-Q2XR\r\n"));
        assert!(mail.is_ascii() && mail.ends_with("\r\n") && !mail.replace("\r\n", "").contains(['\r', '\n']));
        assert!(mail.lines().all(|line| line.len() <= 78));
        let clear = open(&sealed.mail, None, &[], now());
        assert_eq!(clear.text, COVER);
        let everything = format!(
            "{mail}{:?}",
            attached(&sealed.mail).iter().map(|f| &f.name).collect::<Vec<_>>()
        );
        for absent in [
            "Art. 33",
            "Verletzung",
            "bersicht",
            "large.bin",
            "Umlaut",
            passphrase.expose(),
        ] {
            assert!(!everything.contains(absent), "{absent}");
        }
    }
}

#[test]
fn gnupg_opens_files_with_the_passphrase_alone() {
    let gpg = Gpg::new();
    gpg.ok(&["--import"], OUR_KEY.public_armored().as_bytes());
    let passphrase = fresh_passphrase();
    let sealed = seal_files(&small(), COVER, &headers(), &OUR_KEY, &passphrase, now()).unwrap();
    self_check(&sealed, &small(), &OUR_KEY, &passphrase).unwrap();
    assert_eq!(sealed.recipient_fingerprint, None);
    let notice = &attached(&sealed.mail)[0].bytes;
    let plain = decrypt_with(&gpg, &["--passphrase", passphrase.expose()], notice);
    assert!(String::from_utf8(plain).unwrap().contains("Grüße"));
    let (success, plain, _) = gpg.run(&["--passphrase", "0000-0000", "--decrypt"], notice);
    assert!(!success && plain.is_empty());

    // We can still read it ourselves, as what it is; the passphrase shows nowhere.
    let ours = open(&sealed.mail, Some(&OUR_KEY), &[], now());
    assert_eq!(ours.attachments[0].name, "our-own-message.eml");
    let again = String::from_utf8_lossy(&ours.attachments[0].bytes);
    assert!(again.contains("Grüße"), "{again}");
    assert!(!format!("{sealed:?} {passphrase:?}").contains(passphrase.expose()));
}

#[test]
fn the_check_finds_whatever_was_changed_in_files() {
    let (secret, _) = recipient_with(|b| b);
    let to = usable(&secret.strip_secret_key_material().to_vec().unwrap());
    let (other, _) = recipient_with(|b| b);
    let other = usable(&other.strip_secret_key_material().to_vec().unwrap());
    let content = Content {
        attachments: content().attachments[..1].to_vec(),
        ..small()
    };
    let good = seal_files(&content, COVER, &headers(), &OUR_KEY, &to, now()).unwrap();
    self_check(&good, &content, &OUR_KEY, &to).unwrap();
    let flaw = |sealed: &Sealed| match self_check(sealed, &content, &OUR_KEY, &to) {
        Err(SealError::Check(flaw)) => flaw,
        other => panic!("{other:?}"),
    };

    let mut another = content.clone();
    another.attachments[0].bytes.push(b'!');
    let for_another = seal_files(&another, COVER, &headers(), &OUR_KEY, &to, now()).unwrap();
    assert_eq!(flaw(&for_another), Flaw::Content { what: "files" });
    let bare = seal_files(&small(), COVER, &headers(), &OUR_KEY, &to, now()).unwrap();
    assert_eq!(flaw(&bare), Flaw::NotFiles);
    let misled = seal_files(&content, COVER, &headers(), &OUR_KEY, &other, now()).unwrap();
    assert!(matches!(flaw(&misled), Flaw::Recipients { .. }));
    let passphrase = fresh_passphrase();
    let by_passphrase = seal_files(&content, COVER, &headers(), &OUR_KEY, &passphrase, now()).unwrap();
    assert!(matches!(flaw(&by_passphrase), Flaw::Recipients { .. }));
    let telling = format!("{COVER}{}", content.subject);
    let telling = seal_files(&content, &telling, &headers(), &OUR_KEY, &to, now()).unwrap();
    assert!(matches!(flaw(&telling), Flaw::SubjectInClear { .. }));
    let telling = Headers {
        outer_subject: format!("Re: {}", content.subject),
        ..headers()
    };
    let telling = seal_files(&content, COVER, &telling, &OUR_KEY, &to, now()).unwrap();
    assert!(matches!(flaw(&telling), Flaw::SubjectInClear { .. }));
    let forged = Sealed {
        content: for_another.content.clone(),
        ..good.clone()
    };
    assert_eq!(flaw(&forged), Flaw::Content { what: "content" });
    let misnamed = Sealed {
        content_sha256: "00".repeat(32),
        ..good.clone()
    };
    assert_eq!(flaw(&misnamed), Flaw::Content { what: "digest" });

    for wrong in [Secret::new("wrong"), fresh_passphrase()] {
        let checked = self_check(&by_passphrase, &content, &OUR_KEY, &wrong);
        assert!(
            matches!(checked, Err(SealError::Check(Flaw::Passphrase))),
            "{checked:?}"
        );
    }
    let unasked = self_check(&good, &content, &OUR_KEY, &passphrase);
    assert!(matches!(unasked, Err(SealError::Check(_))));

    // A file in clear among the sealed ones is never passed over.
    let mut files: Vec<Attachment> = sealed_files(&content, &OUR_KEY, &to, now()).unwrap();
    files[1].bytes = content.attachments[0].bytes.clone();
    let checked = check_files(&files, &content, &OUR_KEY, &to, now());
    assert!(matches!(checked, Err(SealError::Check(_))), "{checked:?}");
}

#[test]
fn signed_mail_is_verified_by_gnupg_and_by_us() {
    let gpg = Gpg::new();
    gpg.ok(&["--import"], OUR_KEY.public_armored().as_bytes());
    let content = Content {
        text: "Trailing blanks  \r\n\t\r\nFrom here\r\n.\r\n-- \r\nÄ\r\n\r\n".to_owned(),
        ..content()
    };
    let signed = signed_mail(&content, &headers(), &OUR_KEY, now()).unwrap();
    check_signed(&signed, &content, &OUR_KEY).unwrap();
    let mail = std::str::from_utf8(&signed.mail).unwrap();
    assert!(
        mail.is_ascii()
            && mail
                .lines()
                .all(|line| line.len() <= 78 && !line.ends_with([' ', '\t']))
    );
    assert!(mail.contains("multipart/signed") && mail.contains("hp=\"clear\"") && !mail.contains("HP-Outer"));

    let (data, signature) = signed_parts(&signed.mail);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signature.asc");
    std::fs::write(&file, &signature).unwrap();
    let verify = |data: &[u8]| gpg.run(&["--verify", &file.display().to_string(), "-"], data);
    let (success, _, status) = verify(&data);
    assert!(
        success && status.contains("VALIDSIG") && status.contains(OUR_KEY.fingerprint()),
        "{status}"
    );
    // VALIDSIG's eighth field is the digest (RFC 9580 §9.5), which the header must name.
    let digest = match status.split_once("VALIDSIG").unwrap().1.split_whitespace().nth(7) {
        Some("8") => "pgp-sha256",
        Some("10") => "pgp-sha512",
        other => panic!("{other:?}"),
    };
    assert!(mail.contains(&format!("micalg=\"{digest}\"")), "{digest}");
    assert!(!verify(&[&data[..], b"x"].concat()).0);

    // As it comes back from a Maildir, and as a relay would have to change it to be noticed.
    let good = Signature::Good {
        fingerprint: OUR_KEY.fingerprint().to_owned(),
    };
    for (raw, wanted) in [
        (mail.to_owned(), good.clone()),
        (mail.replace("\r\n", "\n"), good),
        (mail.replacen("here", "there", 1), Signature::Bad),
    ] {
        let seen = open(raw.as_bytes(), None, &[OUR_KEY.certificate().clone()], now());
        assert_eq!((seen.signature, seen.protection), (wanted, Protection::Clear));
        assert_eq!(seen.subject, content.subject);
    }
    let mut tampered = signed.clone();
    let at = mail.find("here").unwrap();
    tampered.mail[at] = b'H';
    assert!(matches!(
        check_signed(&tampered, &content, &OUR_KEY),
        Err(SealError::Check(Flaw::Signature))
    ));
    let other = Content {
        text: "x".to_owned(),
        ..content
    };
    assert!(matches!(
        check_signed(&signed, &other, &OUR_KEY),
        Err(SealError::Check(Flaw::Content { what: "text" }))
    ));
}
