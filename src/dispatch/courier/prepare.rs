//! What comes before the wire: a claim becomes the bytes that leave, written ahead of the connections on blocking threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::super::campaign::{self, Letter, LetterError};
use super::super::office::OfficeError;
use super::{Courier, hand_over, jitter};
use crate::message::token;
use crate::model::delivery::{Fault, FaultCause, Outcome, SmtpStep};
use crate::model::id::CampaignId;
use crate::store::{Claim, Done, Work};

/// A message that is ready to go.
pub(super) struct Job {
    pub claim: Claim,
    pub envelope_from: String,
    /// Our token (RFC 3461 §4.4): a report that carries it can only be about this message.
    pub envelope_id: String,
    pub bytes: Vec<u8>,
}
impl Job {
    pub(super) fn is_notice(&self) -> bool {
        matches!(self.claim.work, Work::Notice { .. })
    }
}

impl Courier {
    /// One preparer: takes claims, hands messages to the lanes.
    pub(super) async fn prepare_all(
        self: Arc<Self>,
        claimed: Arc<Mutex<mpsc::Receiver<Vec<Claim>>>>,
        jobs: mpsc::Sender<Job>,
        stop: CancellationToken,
    ) -> Result<(), OfficeError> {
        loop {
            let Some(claims) = claimed.lock().await.recv().await else {
                return Ok(());
            };
            self.prepare_and_hand_over(claims, &jobs, &stop).await?;
        }
    }

    /// Told to stop, it gives back what is not handed over.
    pub(super) async fn prepare_and_hand_over(
        &self,
        claims: Vec<Claim>,
        jobs: &mpsc::Sender<Job>,
        stop: &CancellationToken,
    ) -> Result<(), OfficeError> {
        if stop.is_cancelled() {
            return Ok(self.office.store.release(claims, self.office.now()).await?);
        }
        let mut ready = self.prepare(claims).await?.into_iter();
        while let Some(job) = ready.next() {
            if let Err(job) = hand_over(job, jobs, stop).await {
                let back = std::iter::once(job).chain(ready).map(|job| job.claim).collect();
                return Ok(self.office.store.release(back, self.office.now()).await?);
            }
        }
        Ok(())
    }

    /// Makes the claims' bytes. A message that cannot be made is an attempt that failed on our side, kept like any other.
    async fn prepare(&self, claims: Vec<Claim>) -> Result<Vec<Job>, OfficeError> {
        let letters = self.letters_for(&claims).await?;
        let (mut work, mut back) = (Vec::new(), Vec::new());
        for claim in claims {
            match claim.work {
                Work::Notice { .. } => work.push((claim, None)),
                Work::Person { campaign, .. } => match letters.get(&campaign) {
                    Some(letter) => work.push((claim, Some(Arc::clone(letter)))),
                    None => back.push(claim),
                },
            }
        }
        if !back.is_empty() {
            self.office.store.release(back, self.office.now()).await?;
        }
        let (office, now) = (self.office.clone(), self.office.now());
        let write = move || {
            let write = |(claim, letter): (Claim, Option<Arc<Letter>>)| match (&claim.work, letter) {
                (Work::Person { .. }, Some(letter)) => {
                    let token = office.tokens.for_delivery(claim.delivery);
                    write(claim, &letter, &token, now).map(|(claim, bytes)| Job {
                        envelope_from: office.return_path(office.individuals_sender(), &token),
                        envelope_id: token,
                        bytes,
                        claim,
                    })
                }
                (
                    Work::Notice {
                        reference,
                        envelope_from,
                        sealed,
                    },
                    _,
                ) => Ok(Job {
                    envelope_from: envelope_from.clone(),
                    envelope_id: office.tokens.for_notice(reference),
                    bytes: sealed.clone(),
                    claim,
                }),
                (Work::Person { .. }, None) => unreachable!("every person's letter was read above"),
            };
            work.into_iter().map(write).collect::<Vec<_>>()
        };
        let written = tokio::task::spawn_blocking(write)
            .await
            .expect("rendering does not panic");
        let (mut jobs, mut failed) = (Vec::new(), Vec::new());
        for made in written {
            match made {
                Ok(job) => jobs.push(job),
                Err(unfit) => failed.push(*unfit),
            }
        }
        if !failed.is_empty() {
            self.office.store.step(failed, Vec::new(), now).await?;
        }
        Ok(jobs)
    }

    /// The letters of the campaigns that are claimed from, but for those which are not what was approved.
    async fn letters_for(&self, claims: &[Claim]) -> Result<HashMap<CampaignId, Arc<Letter>>, OfficeError> {
        // Claimed together: of one campaign, all under one approval.
        let approvals: BTreeMap<CampaignId, &str> = claims
            .iter()
            .filter_map(|claim| match &claim.work {
                Work::Person { campaign, approved, .. } => Some((*campaign, approved.as_deref()?)),
                Work::Notice { .. } => None,
            })
            .collect();
        let mut letters = HashMap::new();
        for (id, approved) in approvals {
            if let Some(letter) = self.letter(id, approved).await? {
                letters.insert(id, letter);
            }
        }
        Ok(letters)
    }

    /// One campaign's letter, compiled once for each approval; `None` when it is not what was approved.
    async fn letter(&self, id: CampaignId, approved: &str) -> Result<Option<Arc<Letter>>, OfficeError> {
        let mut letters = self.letters.lock().await;
        if let Some((hash, letter)) = letters.get(&id)
            && hash == approved
        {
            return Ok(Some(Arc::clone(letter)));
        }
        let Some(letter) = Letter::approved(&self.office, id, approved).await? else {
            return Ok(None);
        };
        let letter = Arc::new(letter);
        letters.insert(id, (approved.to_owned(), Arc::clone(&letter)));
        Ok(Some(letter))
    }
}

/// One person's letter, under the Message-ID it had before or gets now, which is kept with the `on_wire` mark: a retry
/// after a crash carries the same one.
fn write(
    mut claim: Claim,
    letter: &Letter,
    token: &str,
    now: crate::model::Time,
) -> Result<(Claim, Vec<u8>), Box<Done>> {
    let fresh = || token::message_id_of(token, &letter.sender.address);
    let message_id = claim.message_id.clone().unwrap_or_else(fresh);
    let Work::Person { language, fields, .. } = &claim.work else {
        unreachable!("a notice has no letter")
    };
    match letter.write(&claim.recipient, language, fields, &message_id, now) {
        Ok(bytes) => {
            claim.message_id = Some(message_id);
            Ok((claim, bytes))
        }
        Err(error) => {
            let fault = Fault {
                step: SmtpStep::Prepare,
                cause: FaultCause::Unfit(campaign::why(&error)),
            };
            let outcome = match error {
                // Known when the campaign was approved: this person is told another way.
                LetterError::NoCertificate => Outcome::Refused { fault },
                _ => Outcome::Held { fault },
            };
            Err(Box::new(Done {
                message_id: None,
                outcome,
                // Nothing is tried again.
                retry: crate::model::delivery::RetryPolicy {
                    first: chrono::TimeDelta::zero(),
                    max: chrono::TimeDelta::zero(),
                    until: None,
                },
                jitter: jitter(),
                claim,
            }))
        }
    }
}
