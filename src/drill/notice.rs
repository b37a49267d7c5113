//! The drill's first scene: the breach is notified to the authority, which decrypts, checks and answers.

use std::time::{Duration, Instant};

use crate::dispatch::desk::breach;
use crate::dispatch::desk::certificate::{self, Verified, Vouched};
use crate::dispatch::desk::notice::{self, NoticeRequest, NoticeView};
use crate::model::breach::{Count, Record};
use crate::model::id::{BreachId, Reference};
use crate::model::notice::NoticeState;

use super::authority::{self, Authority, Reading};
use super::people::People;
use super::play::{LOOK_EVERY, MARKERS, NoticeCount, PATIENCE, Stage, contains_folded, leaks};
use super::receiver::TakenMail;
use super::stage;

impl Stage<'_> {
    pub(super) async fn import_certificate(&mut self, authority: &Authority) -> anyhow::Result<()> {
        let pin = certificate::import(
            &self.office,
            authority::ID,
            authority.certificate().as_bytes(),
            Vouched {
                fingerprint: authority.fingerprint().to_owned(),
                verified: Verified::Phone,
                accepted_user_id: None,
                accept_expired: false,
            },
            &self.by,
        )
        .await?;
        self.say(
            "authority",
            &format!(
                "made a fresh key, {}; we pinned its certificate {}",
                pin.facts.algorithm, pin.fingerprint
            ),
        );
        Ok(())
    }

    pub(super) async fn open_breach(&mut self, people: &People) -> anyhow::Result<BreachId> {
        let mut record = Record::read("the drill's breach", include_bytes!("breach.yaml"))?;
        record.timeline.aware_at = Some((self.office.now() - chrono::TimeDelta::hours(26)).into());
        if people.count() > 0 {
            let count = Count::exactly(people.count() as u64);
            record.data.records = count;
            record.subjects.persons = count;
            let countries = people.countries().into_iter();
            record.subjects.per_country = countries
                .map(|(country, persons)| (country.to_owned(), Count::exactly(persons)))
                .collect();
        }
        let view = breach::open(&self.office, &record, &self.by).await?;
        let left = view.clock.as_ref().map(|clock| clock.left.clone()).unwrap_or_default();
        self.say(
            "breach",
            &format!("{} is in the register; aware 26 hours ago, {left}", view.id),
        );
        Ok(view.id)
    }

    pub(super) async fn notify(&mut self, breach: BreachId, authority: &mut Authority) -> anyhow::Result<NoticeCount> {
        let request = NoticeRequest {
            breach,
            authority: authority::ID.to_owned(),
            kind: None,
            language: None,
            attachments: Vec::new(),
            explanation: None,
            decision: None,
            in_reply_to: None,
        };
        let prepared = notice::prepare(&self.office, request).await?;
        let filed = notice::file(&self.office, prepared, &self.by).await?;
        let reference = filed.reference.clone();
        self.say(
            "notice",
            &format!(
                "{reference}, {}, sealed to the authority and to ourselves, checked, and queued",
                filed.kind.name()
            ),
        );
        let handed = self
            .until("the relay takes the notice", PATIENCE, &reference, NoticeState::Handed)
            .await?;
        for attempt in &handed.attempts {
            let words = attempt.words();
            let tls = attempt
                .tls
                .as_ref()
                .map_or_else(String::new, |tls| format!(", over {}", tls.version));
            self.say("relay", &format!("{}{tls}: {words}", attempt.outcome));
        }
        self.check(
            "the notice was deferred once and then accepted",
            handed.attempts.len() == 2,
        );
        let mails = self.mails_to(|address| address == authority::ADDRESS);
        self.check("the notice reached the authority's server", !mails.is_empty());
        let mut count = NoticeCount {
            sent: 1,
            acknowledged: 0,
        };
        if let Some(mail) = mails.first() {
            let reading = self.read(mail, authority).await?;
            self.answer(&reference, &reading, authority).await?;
            count.acknowledged = 1;
        }
        Ok(count)
    }

    /// The authority opens what it got.
    async fn read(&mut self, mail: &TakenMail, authority: &Authority) -> anyhow::Result<Reading> {
        let reading = authority.read(&mail.bytes, self.office.now())?;
        self.say(
            "authority",
            &format!(
                "decrypted {} bytes; subject inside: {}",
                mail.bytes.len(),
                reading.subject
            ),
        );
        let ours = self.office.our_key().await?;
        self.check(
            "the authority decrypted the notice and found our good signature",
            reading.signed_by == ours.fingerprint(),
        );
        self.check(
            "the notice says what happened, what follows and what was done",
            MARKERS
                .iter()
                .all(|m| contains_folded(&reading.text, m) || *m == "wrong company"),
        );
        self.check(
            "nothing of the breach stands in clear text in the mail",
            !leaks(&mail.bytes),
        );
        Ok(reading)
    }

    /// The authority acknowledges, and its answer is found in our mailbox.
    async fn answer(
        &mut self,
        reference: &Reference,
        reading: &Reading,
        authority: &mut Authority,
    ) -> anyhow::Result<()> {
        let (number, answer) = authority.acknowledge(reading, self.office.now())?;
        stage::deliver(&self.root, "1.drill-acknowledgement", &answer)?;
        self.say(
            "authority",
            &format!("acknowledged under {number}, signed and encrypted to us"),
        );
        let acknowledged = self
            .until(
                "the acknowledgement is matched",
                PATIENCE,
                reference,
                NoticeState::Acknowledged,
            )
            .await?;
        let theirs = acknowledged.authority_reference.clone().unwrap_or_default();
        self.say(
            "mailbox",
            &format!("acknowledgement of {reference} recognised, its signature verified; their reference {theirs}"),
        );
        self.check(
            "the acknowledgement was matched with the authority's own reference",
            theirs == number,
        );
        let signed = acknowledged.acknowledgement.as_ref().is_some_and(
            |ack| matches!(&ack.proof, crate::model::proof::Proof::Signed { by, .. } if by == authority.fingerprint()),
        );
        self.check("its proof is the authority's signature", signed);
        Ok(())
    }

    async fn until(
        &self,
        what: &str,
        patience: Duration,
        reference: &Reference,
        wanted: NoticeState,
    ) -> anyhow::Result<NoticeView> {
        let end = Instant::now() + patience;
        loop {
            let view = notice::show(&self.office, reference).await?;
            if view.state == wanted {
                return Ok(view);
            }
            anyhow::ensure!(
                Instant::now() < end,
                "waited {} s until {what}: {reference} is {}",
                patience.as_secs(),
                view.state.name()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
