//! What waits for a person, and what a person does with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::world::relay::Relay;
use crate::world::{World, text};
use crate::{PLAIN, ingest, reply, send, tray};

#[test]
fn what_waits_leaves_the_tray_only_by_a_person() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let reference = text(&sent["reference"]);
    let mails: Vec<String> = [
        reply(
            &sent,
            "anna@cnpd.lu",
            "Please communicate the personal data breach to the data subjects (Art. 34(4)).",
        ),
        reply(
            &sent,
            "databreach@cnpd-lu.example",
            "We have received your notification.",
        ),
        format!("From: <anna@cnpd.lu>\r\nSubject: hello\r\n{PLAIN}Call me.\r\n"),
        format!("From: <news@vendor.example>\r\nSubject: Offer\r\n{PLAIN}Buy this.\r\n"),
    ]
    .iter()
    .map(|mail| text(&ingest(&world, mail).exits(2).json()["mail"]))
    .collect();
    let [order, phish, unmarked, spam] = mails.try_into().unwrap();
    let daemon = world.serve();
    daemon.stop();
    let lines = tray(&world);
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert!(
            !text(&line["why"]).is_empty() && !line["commands"].as_array().unwrap().is_empty(),
            "{line}"
        );
    }
    assert_eq!(lines[2]["proposed"], json!([reference]), "only its sender fits");
    assert_eq!(lines[2]["notice"], Value::Null);

    world
        .run(&["mailbox", "show", &order])
        .says(&["may be an order", "--order inform"]);
    assert_eq!(
        world.notice(&reference)["inquiries"].as_array().unwrap().len(),
        1,
        "phishing asks nothing"
    );
    world
        .run(&[
            "mailbox", "match", &order, &reference, "--order", "inform", "--reason", "page 2",
        ])
        .exits(0);
    world.run(&["status"]).exits(2).says(&["ORDERS you to inform"]);
    world
        .run(&[
            "mailbox",
            "match",
            &unmarked,
            &reference,
            "--as",
            "acknowledgement",
            "--reason",
            "asked them",
        ])
        .exits(0);
    let shown = world.notice(&reference);
    assert_eq!(shown["state"], "acknowledged");
    assert_eq!(
        shown["acknowledgement"]["proof"]["proof"], "attested",
        "nothing in it ties it to the notice: {shown}"
    );
    world.run(&["mailbox", "done", &spam]).exits(64);
    world.run(&["mailbox", "done", &spam, "--reason", " "]).exits(2);
    world
        .run(&["mailbox", "done", &spam, "--reason", "an advertisement"])
        .exits(0);
    world.run(&["mailbox", "match", &phish, "BP-0000-0000"]).exits(64);
    world.run(&["mailbox", "match", &phish, "dlv_99"]).exits(64);
    world.run(&["mailbox", "match", "mail_99", &reference]).exits(64);
    assert_eq!(tray(&world).len(), 1);
    world
        .run(&["mailbox", "show", &spam])
        .says(&["Decided: done by", "an advertisement"]);
    // The order still waits for an answer, though nothing of it lies in the tray.
    world
        .run(&["mailbox", "done", &order, "--reason", "the campaign has started"])
        .exits(0);
    assert_eq!(
        world.notice(&reference)["inquiries"][0]["closed"]["reason"],
        "the campaign has started"
    );
    world.is_intact();
}

#[test]
fn attachments_are_saved_under_safe_names_and_raw_is_raw() {
    let relay = Relay::sound();
    let world = World::ready(&relay);
    let sent = send(&world);
    let mail = format!(
        "From: <anna@cnpd.lu>\r\nSubject: Re: {}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSee the form.\r\n\
         --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../../form.pdf\"\r\n\r\n%PDF\r\n--b--\r\n",
        text(&sent["reference"])
    );
    let id = text(&ingest(&world, &mail).exits(2).json()["mail"]);
    let folder = world.scratch().join("saved");
    let shown = world.json(&["mailbox", "show", &id, "--save", folder.to_str().unwrap()]);
    assert_eq!(shown["saved"], json!([folder.join("form.pdf")]));
    assert_eq!(fs::read(folder.join("form.pdf")).unwrap(), b"%PDF");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("form.pdf"))), (0o700, 0o600));
    assert_eq!(world.run(&["mailbox", "show", &id, "--raw"]).exits(0).stdout, mail);
}
