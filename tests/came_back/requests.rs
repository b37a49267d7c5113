//! What persons write back.

use serde_json::{Value, json};

use crate::Sent;

impl Sent {
    /// What a person's mailbox sends in answer to what it got.
    fn answer(&self, address: &str, on_top: &str, words: &str) -> Value {
        let (_, head) = self.mails.iter().find(|(_, head)| head.contains(address)).unwrap();
        let id = head.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
        let mail = format!(
            "From: <{address}>\r\nSubject: Re: Example S.A.\r\nIn-Reply-To: {id}\r\n{on_top}MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n"
        );
        self.world
            .run_with(&["mailbox", "ingest", "-", "--json"], mail.as_bytes())
            .json()
    }
}

/// Access and erasure must be answered within a month (GDPR Art. 12(3)).
#[test]
fn a_persons_request_is_shown_whatever_words_it_uses() {
    let sent = Sent::new(&[]);
    let machine = "Auto-Submitted: auto-replied\r\n";
    for (headers, words, shown) in [
        (
            "",
            "Bitte meine Anfrage schnellstmöglich bearbeiten: ich verlange Auskunft.",
            true,
        ),
        (
            "",
            "Merci de me dire dans les meilleurs délais si mon IBAN est concerné.",
            true,
        ),
        (
            "",
            "My case number is B-2026-001. I demand the erasure of my data.",
            true,
        ),
        (
            "",
            "Mi número de expediente es B-2026-001. Solicito la supresión.",
            true,
        ),
        ("", "Ich bin im Urlaub bis Freitag. Ich verlange Auskunft.", true),
        (
            "",
            "I object.\r\n\r\n-- \r\nThis e-mail was sent automatically after a virus scan.",
            true,
        ),
        (machine, "I am out of the office until Friday.", false),
        // Not read there: nobody was informed (Art. 34(1)).
        (
            machine,
            "Ben no longer works for us. Your message will not be read.",
            true,
        ),
        (machine, "Diese Adresse wird nicht mehr abgerufen.", true),
        (
            machine,
            "Your message is being held until you confirm that you are human.",
            true,
        ),
        // Only a person: no server wrote that her mailbox is full.
        (
            "",
            "Your message to ben@example.lu could not be delivered to my telephone: mailbox full. Which data?",
            true,
        ),
    ] {
        let ingested = sent.answer("ben@example.lu", headers, words);
        assert_eq!(ingested["in_tray"], json!(shown), "{words}: {ingested}");
        assert_eq!(ingested["certainty"], "certain", "{words}: {ingested}");
    }
    assert_eq!(sent.coverage(), [3, 3, 0, 0, 0], "nobody was moved");
}
