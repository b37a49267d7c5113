//! Hostile and clumsy input: records, settings, file names, attachments, command lines.

use std::fs;

use crate::world::relay::Relay;
use crate::world::{AUTHORITY, BREACH, World, breach_with, text};

/// A second line that would become a header.
const INJECTION: &str = "\"Bad\\r\\nBcc: spy@evil.example\"";

#[test]
fn no_field_of_a_record_can_add_a_header() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    for (field, place) in [
        ("title: Payroll export sent to the wrong supplier", "2:8: title:"),
        ("name: Brasserie du Kirchberg S.A.", "4:9: controller.name:"),
        ("name: Claire Weber", "47:9: contact.name:"),
        ("email: dpo@brasserie-kirchberg.example", "48:10: contact.email:"),
        ("phone: \"+352 621 000 111\"", "49:10: contact.phone:"),
        ("postal: 12, rue Erasme, L-1468 Luxembourg", "50:11: contact.postal:"),
    ] {
        let name = field.split(':').next().unwrap();
        let record = breach_with(&[(field, &format!("{name}: {INJECTION}"))]);
        world
            .run_with(&["breach", "open", "-"], record.as_bytes())
            .exits(64)
            .says(&[
                "the breach record cannot be used",
                place,
                "hint: breachpost breach template",
            ]);
    }
    assert_eq!(world.json(&["breach", "list"]).as_array().unwrap().len(), 0);
    world.is_intact();
}

/// At night the way on matters more than the paragraph.
#[test]
fn what_a_first_notice_needs_is_named_with_the_way_to_give_it() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.open_breach("title: Something is wrong\n");
    let hint = format!("hint: breachpost breach show {} --record > breach.yaml", world.breach());
    world
        .run(&["notice", "preview", world.breach(), "--to", AUTHORITY])
        .exits(2)
        .says(&["a notice cannot be sent without", &hint]);
}

#[test]
fn no_setting_and_no_profile_can_add_a_header() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let path = world.home().join("config.yaml");
    let sound = fs::read_to_string(&path).unwrap();
    for (old, name) in [
        ("name: \"Brasserie du Kirchberg S.A.\"", "organisation.name"),
        ("name: \"Claire Weber\"", "organisation.contact.name"),
        (
            "email: \"dpo@brasserie-kirchberg.example\"",
            "organisation.contact.email",
        ),
        ("address: \"breach@brasserie-kirchberg.example\"", "sender.address"),
        ("#e.g. name: \"Example S.A., data protection\"", "sender.name"),
    ] {
        let key = old.trim_start_matches("#e.g. ").split(':').next().unwrap();
        assert_eq!(sound.matches(old).count(), 1, "{old}");
        fs::write(&path, sound.replace(old, &format!("{key}: {INJECTION}"))).unwrap();
        world.send(&[]).exits(1).says(&["config.yaml:", name]);
    }
    fs::write(&path, &sound).unwrap();

    let profile = include_str!("../../authorities/lu-cnpd.yaml");
    let overlay = world.home().join("authorities/lu-cnpd.yaml");
    for old in ["value: databreach@cnpd.lu", "en: National Data Protection Commission"] {
        let key = old.split(':').next().unwrap();
        assert!(profile.contains(old));
        fs::write(&overlay, profile.replace(old, &format!("{key}: {INJECTION}"))).unwrap();
        let refused = world.send(&[]).says(&["lu-cnpd.yaml"]);
        assert_ne!(refused.status, 0, "{refused:?}");
    }
    fs::remove_file(overlay).unwrap();

    let flag = "Bad\r\nBcc: spy@evil.example";
    let line = ["init", "--home", "other", "--organisation", flag];
    world
        .run(&line)
        .exits(64)
        .says(&["--organisation", "control characters"]);
    assert!(world.notices().is_empty() && relay.connections() == 0);
}

#[test]
fn no_file_name_can_add_a_header() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let file = world.file("liste\r\nBcc: spy@evil.example", b"x");
    let sent = world.send(&["--attach", &file]);
    assert_ne!(sent.status, 0, "{sent:?}");
    assert!(sent.stderr.contains("control character"), "{sent:?}");
    assert!(world.notices().is_empty() && relay.connections() == 0);

    let quoted = world.file("a\"; filename=\"b – c.txt", b"x");
    world.send(&["--attach", &quoted]).exits(0);
    let content = world
        .run(&["notice", "show", &text(&world.notices()[0]["reference"]), "--content"])
        .exits(0)
        .stdout;
    let read = mail_parser::MessageParser::default().parse(content.as_bytes()).unwrap();
    let names: Vec<_> = read
        .attachments()
        .filter_map(mail_parser::MimeHeaders::attachment_name)
        .collect();
    assert!(names.contains(&"a\"; filename=\"b – c.txt"), "{names:?}");
}

#[test]
fn template_language_in_a_record_is_only_text() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    world.import_certificate();
    let marks = "{{reference}} {{{lookup this \"controller\"}}} {{#each this}}x{{/each}} {{> authority}} \\{{x}}";
    world.open_breach(&breach_with(&[
        (
            "Employees are told what to watch for; the bank was informed.",
            &format!("'{marks}'"),
        ),
        ("name: Claire Weber", &format!("name: '{marks}'")),
    ]));
    let preview = world.json(&["notice", "preview", world.breach(), "--to", AUTHORITY]);
    let shown = text(&preview["text"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(shown.matches(marks).count(), 3, "two names and the measures: {shown}");
}

#[test]
fn records_that_are_no_honest_yaml_are_refused_with_their_place() {
    let relay = Relay::sound();
    let world = World::new(&relay);
    let nested = format!("nature: {}{}", "[".repeat(5000), "]".repeat(5000));
    for (new, says) in [
        (
            "nature: [confidentiality]\nnature: [integrity]",
            ":16:1: the key `nature` is given twice, first at line 15, column 1",
        ),
        (nested.as_str(), "nested deeper than 32 levels"),
        ("nature: &a [confidentiality]", ":15:9: anchors"),
        ("nature: *a", ":15:9: aliases"),
        ("nature: !!binary x", ":15:9:"),
        (
            "natur: [confidentiality]",
            ":15:1: unknown field `natur`; did you mean `nature`?",
        ),
        ("nature: [confidentialty]", ":15:10: nature"),
        ("nature: [confidentialty]", "did you mean `confidentiality`?"),
    ] {
        let record = breach_with(&[("nature: [confidentiality]", new)]);
        let refused = world
            .run_with(&["breach", "open", "-", "--json"], record.as_bytes())
            .exits(64);
        assert!(refused.stderr.contains(says), "{says}: {refused:?}");
        assert!(refused.json()["error"]["because"][0].is_string(), "{refused:?}");
    }
    let long = vec![b'#'; 2_000_000];
    world
        .run_with(&["breach", "open", "-"], &long)
        .exits(64)
        .says(&["larger than"]);
    world
        .run_with(&["breach", "open", "-"], b"\xff\xfe")
        .exits(64)
        .says(&["not UTF-8"]);
    world.run_with(&["breach", "open", "-"], b"").exits(64).says(&["empty"]);
    assert_eq!(world.json(&["breach", "list"]).as_array().unwrap().len(), 0);
}

#[test]
fn an_attachment_that_is_too_large_is_refused_before_anything_is_filed() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let before = world.json(&["journal", "verify"])["length"].clone();
    let large = world.file("large.bin", &vec![7; 6_000_000]);
    world
        .send(&["--attach", &large])
        .exits(2)
        .says(&["too large", "8000000", "limits.sealed_bytes"]);
    let huge = world.file("huge.bin", b"");
    fs::File::options()
        .write(true)
        .open(&huge)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    world.send(&["--attach", &huge]).exits(64).says(&["larger than"]);
    assert!(world.notices().is_empty() && relay.connections() == 0);
    assert_eq!(
        world.json(&["journal", "verify"])["length"],
        before,
        "nothing was stored"
    );
}

#[test]
fn a_setting_that_is_unknown_or_contradictory_is_named_with_its_line() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let path = world.home().join("config.yaml");
    let sound = fs::read_to_string(&path).unwrap();
    for (old, new, says) in [
        ("limits:", "limit:", "unknown field `limit`; did you mean `limits`?"),
        ("relay:", "relai:", "unknown field `relai`; did you mean `relay`?"),
        ("  country:", "  county:", "did you mean `country`?"),
        ("  retry: { first", "  retrys: { first", "did you mean `retry`?"),
        (
            "  retry: { first_seconds: 1,",
            "  retry: { first_seconds: 9,",
            "first_seconds",
        ),
    ] {
        let number = sound.lines().position(|line| line.starts_with(old)).unwrap() + 1;
        fs::write(&path, sound.replacen(&format!("\n{old}"), &format!("\n{new}"), 1)).unwrap();
        let place = format!("config.yaml:{number}:");
        world.run(&["status"]).exits(1).says(&[&place, says]);
    }
    fs::write(&path, sound.replace("smtp://127.0.0.1", "smtp://mail.example.lu")).unwrap();
    world.run(&["status"]).exits(1).says(&["tls=none", "loopback"]);
    fs::write(&path, &sound).unwrap();
    world.is_intact();
}

#[test]
fn exit_statuses_tell_scripts_whose_turn_it_is() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let record = world.file("breach.yaml", BREACH.as_bytes());
    let missing = world.scratch().join("no-such-home");
    let missing = missing.to_str().unwrap();
    for (status, line) in [
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (0, vec!["breach", "open", &record]),
        (0, vec!["clock", "2026-11-18 10:20", "--authority", "lu-cnpd"]),
        (1, vec!["status", "--home", missing]),
        (2, vec!["status"]),
        (2, vec!["authority", "cert", "show", "be-apd-gba"]),
        (64, vec![]),
        (64, vec!["no-such-command"]),
        (64, vec!["notice", "send", world.breach()]),
        (64, vec!["notice", "send", world.breach(), "--to", "lu-cnpd"]),
        (64, vec!["notice", "send", world.breach(), "--to", "lu-cnpq", "--yes"]),
        (64, vec!["notice", "send", "B-2020-099", "--to", "lu-cnpd", "--yes"]),
        (64, vec!["notice", "show", "BP-0000-0000"]),
        (64, vec!["notice", "show", "not a reference"]),
        (64, vec!["breach", "open", "no-such-file.yaml"]),
        (64, vec!["breach", "open"]),
        (64, vec!["clock", "2026-03-29 02:30", "--authority", "lu-cnpd"]),
        (64, vec!["clock", "2026-10-25 02:30", "--authority", "lu-cnpd"]),
        (64, vec!["mailbox", "ingest", "no-such-file.eml"]),
        (64, vec!["mailbox", "show", "mail_99"]),
    ] {
        let ran = world.run(&line).exits(status);
        assert!(status != 64 && status != 1 || !ran.stderr.is_empty(), "{ran:?}");
    }
    assert_eq!(relay.connections(), 0);
}
