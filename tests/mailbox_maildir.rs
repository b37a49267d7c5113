//! A Maildir, watched: a stop is heeded, and one mail that hits a mistake of ours keeps no other waiting.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
mod scratch;

use std::sync::Arc;

use breachpost::dispatch::dkim::{Names, NoAnswer};
use breachpost::dispatch::office::Office;
use breachpost::dispatch::watch;
use breachpost::model::id::MailId;
use scratch::Scratch;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// A name server that shows a mistake of ours.
struct Faulty;
#[async_trait::async_trait]
impl Names for Faulty {
    async fn texts(&self, _: &str) -> Result<Vec<Vec<u8>>, NoAnswer> {
        panic!("a mistake")
    }
}

/// The office of a home with a Maildir of these mails.
fn with_maildir(scratch: &Scratch, mails: &[&str]) -> Office {
    let folder = scratch.office.home.root().join("Maildir");
    for part in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    for (number, mail) in mails.iter().enumerate() {
        std::fs::write(folder.join(format!("new/{number}.host")), mail).unwrap();
    }
    let mut office = scratch.office.clone();
    let mut config = (*office.config).clone();
    let settings = json!({ "url": format!("maildir:{}", folder.display()) });
    config.mailbox = Some(serde_json::from_value(settings).unwrap());
    office.config = Arc::new(config);
    office.names = Arc::new(Faulty);
    office
}

#[tokio::test]
async fn who_is_told_to_stop_reads_no_further_mail() {
    let scratch = Scratch::new().await;
    let office = with_maildir(&scratch, &["Subject: 1\n\n", "Subject: 2\n\n"]);
    let stop = CancellationToken::new();
    stop.cancel();
    watch::run(office.clone(), stop).await.unwrap();
    assert_eq!(office.store.newest_mail().await.unwrap(), None);
    assert_eq!(watch::once(&office).await.unwrap(), 2, "the next one reads them");
}

/// That it is asked for its key shows the mistake, each time it is read.
const POISON: &str = "From: ann@poison.example\nSubject: x\nDKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; \
    d=poison.example; s=k; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n\nHello\n";

#[tokio::test]
async fn a_mail_that_hits_a_mistake_keeps_no_other_waiting() {
    let scratch = Scratch::new().await;
    let office = with_maildir(&scratch, &["Subject: 1\n\n", POISON, "Subject: 3\n\n"]);
    assert_eq!(watch::once(&office).await.unwrap(), 3, "all are stored");
    assert_eq!(office.store.list_unread().await.unwrap(), [MailId::new(2)]);

    // As after a crash: stored, and not read.
    let (store, now) = (&office.store, office.now());
    let (late, _) = store.add_mail(b"Subject: 4\r\n\r\n", "test", now).await.unwrap();
    assert_eq!(store.list_unread().await.unwrap(), [MailId::new(2), late]);
    watch::once(&office).await.unwrap();
    assert_eq!(
        store.list_unread().await.unwrap(),
        [MailId::new(2)],
        "read behind the other"
    );
}
