//! The drill's second scene: the persons are told, by the verbs that an operator uses, from the list to the report.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dispatch::campaign::Wording;
use crate::dispatch::campaign::check;
use crate::dispatch::campaign::import::{self, ImportRequest, Target};
use crate::dispatch::desk::DeskError;
use crate::dispatch::desk::campaign::{self, Report, Status, Whose};
use crate::message::template::Severity;
use crate::message::token::Named;
use crate::model::campaign::CampaignState;
use crate::model::id::{BreachId, CampaignId, DeliveryId};
use crate::model::plural::{counted, grouped, if_one};
use crate::model::receipt::Mark;

use super::letters::{self, Letters};
use super::people::{Fate, People, Person};
use super::play::{PATIENCE, PATIENCE_A_PERSON, PersonCount, Stage, Told};
use super::{authority, bounce, stage};

/// What the operator types for each language.
const TEXTS: &str = include_str!("texts.yaml");
/// Where the list and the texts lie in the scratch home.
const LIST_FILE: &str = "individuals.csv";
const TEXTS_FILE: &str = "texts.yaml";
/// Counting many persons takes its time.
const CAMPAIGN_LOOK_EVERY: Duration = Duration::from_millis(50);

impl Stage<'_> {
    /// From the list to the report. A list of nobody is refused, and there is nothing to rehearse.
    pub(super) async fn inform(&mut self, breach: BreachId, people: Arc<People>) -> anyhow::Result<PersonCount> {
        if people.count() == 0 {
            return Ok(PersonCount::default());
        }
        let (id, wording) = self.bring_in(breach, &people).await?;
        self.agree(id, &people).await?;
        self.send(id, &people).await?;
        let letters = self.open_letters(&people, wording).await?;
        self.later(&people, &letters).await?;
        self.cut_off(&people, &letters).await?;
        self.compare_letters(&people, &letters).await?;
        self.return_some(id, &people, &letters).await?;
        self.account(id, &people, &letters).await
    }

    /// The list becomes persons, each row accounted for.
    async fn bring_in(&mut self, breach: BreachId, people: &People) -> anyhow::Result<(CampaignId, Wording)> {
        let (list, texts) = (self.root.join(LIST_FILE), self.root.join(TEXTS_FILE));
        stage::write(&list, &people.list()?)?;
        stage::write(&texts, TEXTS.as_bytes())?;
        let mut content = import::content(&self.office, breach, None).await?;
        let file = Some((TEXTS_FILE, TEXTS.as_bytes()));
        content.wording = Wording::read(file, false, false, &self.office.templates)?;
        let wording = content.wording.clone();
        let fresh = Target::Fresh {
            breach,
            content: Box::new(content),
        };
        let imported = import::import(&self.office, ImportRequest::new(list, fresh), &self.by, |_| ()).await?;
        let found = check::check(&self.office, imported.campaign).await?;
        let counts = found.line.counts;
        let mut rows = counted(counts.rows, "row");
        if counts.duplicates > 0 {
            rows.push_str(&format!(
                ", {} of them for somebody who is in it already",
                grouped(counts.duplicates)
            ));
        }
        let persons = counts.rows - counts.duplicates;
        let mut line = format!("{LIST_FILE} has {rows}: {}", counted(persons, "person"));
        if counts.invalid > 0 {
            line.push_str(&format!(", {} without a usable address", grouped(counts.invalid)));
        }
        self.say("list", &line);
        let unusable = people.of(Fate::Unusable).count() as u64;
        self.check(
            "each row of the list is a person, a duplicate or a row that cannot be used",
            counts.rows == (people.count() + people.duplicates()) as u64
                && (counts.duplicates, counts.invalid) == (people.duplicates() as u64, unusable)
                && counts.valid == people.count() as u64 - unusable,
        );
        let known = found.languages.keys().filter(|language| !language.is_empty());
        let mut line = format!("they are written to in {}", counted(known.count(), "language"));
        if let Some(unknown) = found.languages.get("") {
            let persons = counted(*unknown, "person");
            line.push_str(&format!(
                "; {persons} of unknown language: in all of them, in one message"
            ));
        }
        self.say("list", &line);
        if let Some(keys) = found.flags.get("certificate") {
            let persons = counted(*keys, "person");
            self.say(
                "list",
                &format!("{persons} gave an OpenPGP key: to them it goes sealed"),
            );
        }
        Ok((imported.campaign, wording))
    }

    /// What would be sent is looked at, and agreed to.
    async fn agree(&mut self, id: CampaignId, people: &People) -> anyhow::Result<()> {
        let ready = campaign::ready(&self.office, id).await?;
        let of = |severity| ready.findings.iter().filter(|found| found.severity == severity).count() as u64;
        let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
        self.say(
            "check",
            &format!(
                "the messages in all languages were read by the linter: {}, {}",
                counted(errors, "error"),
                counted(warnings, "warning")
            ),
        );
        self.check("nothing speaks against sending the messages", !ready.needs_person());
        let mut languages = BTreeSet::new();
        for person in people.all().iter().filter(|person| person.fate != Fate::Unusable) {
            if languages.insert(person.language) {
                let whose = Whose::Address(person.address.clone());
                let shown = campaign::preview(&self.office, id, &whose, None).await?;
                if person.fate == Fate::CutOff {
                    self.say("preview", &format!("the first person will read: {}", shown.subject));
                }
            }
        }
        let early = campaign::start(&self.office, id, None, &self.by).await;
        self.check(
            "nothing can be sent before somebody has approved it",
            matches!(early, Err(DeskError::First { .. })),
        );
        let approved = campaign::approve(&self.office, id, None, &self.by).await?;
        self.say(
            "approval",
            &format!(
                "given to exactly this content ({}…); any later edit would void it",
                approved.content_sha256.get(..12).unwrap_or_default()
            ),
        );
        Ok(())
    }

    /// The daemon's courier sends until everybody has been tried.
    async fn send(&mut self, id: CampaignId, people: &People) -> anyhow::Result<()> {
        campaign::start(&self.office, id, None, &self.by).await?;
        self.say(
            "campaign",
            "started: a message of their own to each person, one recipient each",
        );
        let patience = PATIENCE + PATIENCE_A_PERSON * people.count() as u32;
        let tried = |status: &Status| status.coverage.pending + status.coverage.in_doubt == 0;
        let status = self.until_campaign(id, "all were tried", patience, tried).await;
        (self.tell)(Told::Sent);
        let coverage = status?.coverage;
        let refused = coverage.unreached - coverage.invalid;
        let mut line = format!(
            "all were tried: the mail server took {}",
            counted(coverage.informed, "message")
        );
        if refused > 0 {
            line.push_str(&format!(" and refused {} (no such user)", grouped(refused)));
        }
        self.say("campaign", &line);
        campaign::settle_if_done(&self.office, id).await?;
        let settling = campaign::status(&self.office, id).await?;
        self.check(
            "the campaign waits for late bounces before it is finished",
            matches!(settling.state, CampaignState::Settling { .. }),
        );
        Ok(())
    }

    /// Who was put off was tried again, and only then counted as informed.
    async fn later(&mut self, people: &People, letters: &Letters) -> anyhow::Result<()> {
        let (mut put_off, mut as_planned) = (0, 0);
        for person in people.of(Fate::Later) {
            put_off += 1;
            as_planned += u64::from(self.outcomes(person, letters).await? == ["deferred", "accepted"]);
        }
        if put_off > 0 {
            self.say(
                "campaign",
                &format!("{as_planned} of these at the second try only: it had asked to come back later"),
            );
            self.check("whoever was put off was tried again until taken", as_planned == put_off);
        }
        Ok(())
    }

    /// Whose message may or may not have been taken was written to again, and is marked for ever.
    async fn cut_off(&mut self, people: &People, letters: &Letters) -> anyhow::Result<()> {
        for person in people.of(Fate::CutOff) {
            let was_in_doubt = self.outcomes(person, letters).await? == ["in_doubt", "accepted"];
            if was_in_doubt {
                self.say(
                    "campaign",
                    "the line broke once, when a message had been sent and before we heard that it was taken: it was \
                     sent again under the same Message-ID, and this person is marked as possibly told twice",
                );
            }
            self.check("the message in doubt was tried again", was_in_doubt);
        }
        Ok(())
    }

    /// What the ledger has of this person's attempts.
    async fn outcomes(&self, person: &Person, letters: &Letters) -> anyhow::Result<Vec<String>> {
        let Some(id) = self.delivery_of(&person.address, letters) else {
            return Ok(Vec::new());
        };
        let delivery = self.office.store.find_delivery(id).await?;
        let attempts = delivery.into_iter().flat_map(|delivery| delivery.attempts);
        Ok(attempts.map(|attempt| attempt.outcome).collect())
    }

    /// The row of the ledger that the message in this person's mailbox names.
    fn delivery_of(&self, address: &str, letters: &Letters) -> Option<DeliveryId> {
        let message_id = letters.came.get(address)?.first()?;
        match self.office.tokens.read_message_id(message_id)? {
            Named::Delivery(id) => Some(id),
            Named::Notice(_) => None,
        }
    }

    async fn open_letters(&mut self, people: &Arc<People>, wording: Wording) -> anyhow::Result<Letters> {
        let mails = self.mails_to(|address| address != authority::ADDRESS);
        let ours = self.office.our_key().await?.fingerprint().to_owned();
        let (people, now) = (Arc::clone(people), self.office.now());
        let read = move || letters::read(&mails, &people, &wording, &ours, now);
        Ok(tokio::task::spawn_blocking(read).await?)
    }

    /// What the world got, beside what it should have got.
    async fn compare_letters(&mut self, people: &People, letters: &Letters) -> anyhow::Result<()> {
        let with_key: HashSet<&str> = people.with_key().map(|person| person.address.as_str()).collect();
        if !with_key.is_empty() {
            self.say(
                "persons",
                &format!(
                    "{} decrypted their message with their own key and found our good signature",
                    grouped(letters.decrypted.len())
                ),
            );
            self.check(
                "who gave a key, and nobody else, got a sealed message, opened it and found our good signature",
                letters.wrongly_sealed == 0 && are(letters.decrypted.iter(), &with_key),
            );
            self.check(
                "nothing of the sealed messages can be read on the way",
                letters.readable_outside == 0,
            );
        }
        self.check(
            "each message is to one person alone and names them",
            letters.misaddressed == 0,
        );
        self.check(
            "everybody was told in their own language, or in all where it is not known",
            letters.in_other_language == 0,
        );
        let due = people
            .all()
            .iter()
            .filter(|person| !matches!(person.fate, Fate::Gone | Fate::Unusable));
        let due: HashSet<&str> = due.map(|person| person.address.as_str()).collect();
        self.check(
            "nobody was skipped, and nobody else was written to",
            are(letters.came.keys(), &due),
        );
        Ok(())
    }

    /// Days later, some messages come back: to the return path that names their person.
    async fn return_some(&mut self, id: CampaignId, people: &People, letters: &Letters) -> anyhow::Result<()> {
        let returned: HashSet<&str> = people
            .of(Fate::Returned)
            .map(|person| person.address.as_str())
            .collect();
        let count = returned.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let before = campaign::status(&self.office, id).await?.coverage;
        for (number, mail) in self.mails_to(|address| returned.contains(address)).iter().enumerate() {
            let report = bounce::undeliverable(mail, self.office.now());
            stage::deliver(&self.root, &format!("{}.drill-bounce", number + 1), &report)?;
        }
        self.say(
            "mailbox",
            &format!(
                "days later, {} {} back that it had taken: delivery reports (RFC 3464) to the return path which each \
                 message carried",
                counted(count, "message"),
                if_one(count, "comes", "come"),
            ),
        );
        let patience = PATIENCE + PATIENCE_A_PERSON * people.count() as u32;
        let moved = |status: &Status| status.coverage.unreached >= before.unreached + count;
        self.until_campaign(id, "the bounces were understood", patience, moved)
            .await?;
        let mut known = 0;
        for address in returned {
            known += u64::from(self.is_known_by_return_path(address, letters).await?);
        }
        self.say(
            "mailbox",
            &format!(
                "{} of {} known by the token in that address: {} moved from informed to unreached",
                grouped(known),
                grouped(count),
                counted(count, "person")
            ),
        );
        self.check(
            "each report was tied to its person by the return path alone",
            known == count,
        );
        Ok(())
    }

    async fn is_known_by_return_path(&self, address: &str, letters: &Letters) -> anyhow::Result<bool> {
        let Some(id) = self.delivery_of(address, letters) else {
            return Ok(false);
        };
        for report in self.office.store.list_reports(id).await? {
            let mail = self.office.store.find_mail(report.mail).await?;
            let mark = mail.and_then(|mail| mail.understanding?.matched_by);
            if mark == Some(Mark::ReturnPath) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The report, beside what the world knows.
    async fn account(&mut self, id: CampaignId, people: &People, letters: &Letters) -> anyhow::Result<PersonCount> {
        let report = campaign::report(&self.office, id).await?;
        let coverage = report.status.coverage;
        self.say(
            "report",
            &format!(
                "{} = {} informed + {} unreached + {} in doubt + {} pending",
                counted(coverage.total, "person"),
                grouped(coverage.informed),
                grouped(coverage.unreached),
                grouped(coverage.in_doubt),
                grouped(coverage.pending)
            ),
        );
        if coverage.unreached > 0 {
            let reasons = report.groups.reasons.iter();
            let reasons: Vec<_> = reasons
                .map(|(why, n)| format!("{} ({})", grouped(n), campaign::why_unreached(why)))
                .collect();
            self.say("report", &format!("unreached: {}", reasons.join(", ")));
        }
        self.check(
            "the report adds up, in all and by language, country, domain and reason",
            adds_up(&report),
        );
        self.check(
            "the report's total is the list's: rows without duplicates",
            coverage.total == people.count() as u64 && (coverage.in_doubt, coverage.pending) == (0, 0),
        );
        let unreached = [Fate::Gone, Fate::Returned, Fate::Unusable];
        let planned = people.all().iter().filter(|person| unreached.contains(&person.fate));
        let planned: HashSet<&str> = planned.map(|person| person.name_in_report()).collect();
        let mut named = HashSet::new();
        campaign::unreached(&self.office, id, true, |page| {
            named.extend(page.iter().map(|person| match &person.address {
                Some(address) => address.clone(),
                None => person.fields.first("street").unwrap_or_default().to_owned(),
            }));
            Ok::<_, DeskError>(())
        })
        .await?;
        self.check(
            "unreached are those who were refused, whose message came back, or who have no address, and nobody else",
            coverage.unreached == planned.len() as u64 && are(named.iter(), &planned),
        );
        let returned = people.of(Fate::Returned).count() as u64;
        self.check(
            "informed are those whose server took the message and did not send it back, and nobody else",
            letters.came.len() as u64 == coverage.informed + returned,
        );
        self.check_twice(&report, letters).await?;
        Ok(PersonCount {
            total: coverage.total,
            informed: coverage.informed,
            unreached: coverage.unreached,
            in_doubt: coverage.in_doubt,
            pending: coverage.pending,
            possibly_twice: coverage.possibly_twice,
            rows: coverage.total + coverage.duplicates,
            duplicates: coverage.duplicates,
            invalid: coverage.invalid,
            decrypted: letters.decrypted.len() as u64,
            returned,
            campaign: Some(id),
        })
    }

    /// Whoever got a message twice got the same one, and the ledger says that this may be.
    async fn check_twice(&mut self, report: &Report, letters: &Letters) -> anyhow::Result<()> {
        let twice = letters.came.iter().filter(|(_, ids)| ids.len() > 1);
        let (mut count, mut said, mut same) = (0, true, true);
        for (address, ids) in twice {
            count += 1;
            let found = campaign::find(&self.office, address).await?;
            said &= found.iter().any(|found| found.possibly_twice);
            same &= ids.iter().collect::<HashSet<_>>().len() == 1;
        }
        self.check(
            "nobody was told twice, except the one in doubt, who is marked so and got the same message again",
            said && same && count == 1 && report.status.coverage.possibly_twice == count,
        );
        Ok(())
    }

    async fn until_campaign(
        &mut self,
        id: CampaignId,
        what: &str,
        patience: Duration,
        is_so: impl Fn(&Status) -> bool,
    ) -> anyhow::Result<Status> {
        let end = Instant::now() + patience;
        loop {
            let status = campaign::status(&self.office, id).await?;
            if is_so(&status) {
                return Ok(status);
            }
            if status.coverage.pending > 0 {
                (self.tell)(Told::Sending(&status));
            }
            if let CampaignState::Paused { why, .. } = &status.state {
                anyhow::bail!("the campaign was paused: {why}");
            }
            anyhow::ensure!(
                Instant::now() < end,
                "waited {} s until {what}: {} pending, {} in doubt, {} unreached",
                patience.as_secs(),
                status.coverage.pending,
                status.coverage.in_doubt,
                status.coverage.unreached
            );
            tokio::time::sleep(CAMPAIGN_LOOK_EVERY).await;
        }
    }
}

/// Whether these are exactly those.
fn are<'a>(these: impl Iterator<Item = &'a String>, those: &HashSet<&str>) -> bool {
    these.map(String::as_str).collect::<HashSet<_>>() == *those
}

/// In all and in each grouping, the sums are those of the list.
fn adds_up(report: &Report) -> bool {
    let whole = &report.status.coverage;
    let wanted = [whole.informed, whole.in_doubt, whole.unreached, whole.pending];
    let groups = &report.groups;
    let mut each = [&groups.languages, &groups.countries, &groups.domains].into_iter();
    let fits = each.all(|group| {
        let mut sums = [0; 4];
        for reached in group.values() {
            let counts = [reached.informed, reached.in_doubt, reached.unreached, reached.pending];
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        sums == wanted
    });
    fits && wanted.iter().sum::<u64>() == whole.total && groups.reasons.values().sum::<u64>() == whole.unreached
}
