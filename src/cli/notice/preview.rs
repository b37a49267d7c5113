//! The preview: exactly what would leave.

use serde::Serialize;

use crate::cli::output::ladder_lines;
use crate::directory::certificate::pretty_fingerprint;
use crate::directory::profile::Layout;
use crate::dispatch::desk::ladder::Ladder;
use crate::dispatch::desk::notice::{Plan, Prepared};
use crate::model::Time;
use crate::model::id::{BreachId, Reference};
use crate::model::notice::NoticeKind;

/// What a preview shows: exactly what would leave.
#[derive(Serialize)]
pub struct Preview<'a> {
    reference: &'a Reference,
    breach: BreachId,
    authority: &'a str,
    authority_name: &'a str,
    kind: NoticeKind,
    language: &'a str,
    from: String,
    to: String,
    /// What everybody on the way can read.
    outer_subject: &'a str,
    /// Only the reader who can decrypt sees it.
    subject: &'a str,
    text: &'a str,
    attachments: Vec<AttachmentLine<'a>>,
    protection: String,
    /// The rung of the ladder that was chosen, and why.
    decision: Option<String>,
    recipient_fingerprint: Option<&'a str>,
    verified: Option<&'a str>,
    /// Why it cannot be sealed now.
    pub unusable: Option<String>,
    /// The way through, when it cannot be sealed.
    ladder: Option<Ladder>,
    deadline: Option<&'a str>,
    left: Option<&'a str>,
    late: bool,
    warnings: Vec<String>,
}
#[derive(Serialize)]
struct AttachmentLine<'a> {
    name: &'a str,
    media_type: &'a str,
    size_bytes: usize,
}

impl<'a> Preview<'a> {
    pub fn of(prepared: &'a Prepared, now: Time) -> Self {
        let (pin, unusable) = match &prepared.plan {
            Ok(plan) => match &**plan {
                Plan::Sealed { pin, .. } => (Some(pin), None),
                Plan::Passphrase | Plan::Stub | Plan::SignedClear { .. } => (None, None),
            },
            Err(trouble) => {
                let mut why = trouble.to_string();
                if let Some(source) = std::error::Error::source(trouble) {
                    why.push_str(&format!(": {source}"));
                }
                (None, Some(why))
            }
        };
        let mut warnings = prepared.warnings.clone();
        warnings.extend(
            prepared
                .gaps
                .iter()
                .map(|gap| format!("{} ({})", gap.text, gap.article)),
        );
        Self {
            reference: &prepared.reference,
            breach: prepared.breach,
            authority: &prepared.profile.id,
            authority_name: prepared.profile.name("en"),
            kind: prepared.kind,
            language: &prepared.language,
            from: prepared.headers.from.shown(),
            to: prepared.headers.to.shown(),
            outer_subject: &prepared.headers.outer_subject,
            subject: &prepared.content.subject,
            text: &prepared.content.text,
            attachments: prepared
                .content
                .attachments
                .iter()
                .map(|a| AttachmentLine {
                    name: &a.name,
                    media_type: &a.media_type,
                    size_bytes: a.bytes.len(),
                })
                .collect(),
            protection: protection(prepared),
            decision: prepared
                .decision
                .as_ref()
                .map(|d| format!("{}: {}", d.rung.name(), d.reason)),
            recipient_fingerprint: pin.map(|pin| pin.fingerprint.as_str()),
            verified: pin.map(|pin| pin.verified.as_str()),
            unusable,
            ladder: prepared.ladder(now),
            deadline: prepared.clock.as_ref().map(|clock| clock.strict_local.as_str()),
            left: prepared.clock.as_ref().map(|clock| clock.left.as_str()),
            late: prepared.clock.as_ref().is_some_and(|clock| clock.late),
            warnings,
        }
    }

    pub fn human(&self) -> String {
        let mut text = format!(
            "To          {} <{}> ({})\nFrom        {}\nNotice      {}, {}, language {}\nDeadline    {}\nProtection  {}\n",
            self.authority_name,
            self.to,
            self.authority,
            self.from,
            self.kind.name(),
            self.reference,
            self.language,
            match (self.deadline, self.left) {
                (Some(deadline), Some(left)) => format!("{deadline} ({left})"),
                _ => "unknown: when you became aware is not recorded".to_owned(),
            },
            self.protection
        );
        if let Some(why) = &self.unusable {
            text.push_str(&format!("            {why}\n"));
        }
        if let Some(ladder) = &self.ladder {
            text.push_str(&format!("\n{}\n\n", ladder_lines(ladder).join("\n")));
        }
        if let Some(decision) = &self.decision {
            text.push_str(&format!("Override    {decision}\n"));
        }
        text.push_str(&format!(
            "On the way  everybody sees only this subject: {}\n",
            self.outer_subject
        ));
        for attachment in &self.attachments {
            text.push_str(&format!(
                "Attached    {} ({}, {} bytes)\n",
                attachment.name, attachment.media_type, attachment.size_bytes
            ));
        }
        for warning in &self.warnings {
            text.push_str(&format!("Warning     {warning}\n"));
        }
        text.push_str(&format!("\nSubject: {}\n\n{}\n", self.subject, self.text.trim_end()));
        text
    }
}

fn protection(prepared: &Prepared) -> String {
    let Ok(plan) = &prepared.plan else {
        return "CANNOT BE SEALED, so it cannot be sent".to_owned();
    };
    match &**plan {
        Plan::Sealed { pin, layout, .. } => {
            let how = match layout {
                Layout::PgpMime => "signed and encrypted with OpenPGP",
                Layout::EncryptedFiles => {
                    "as files, each signed and encrypted with OpenPGP beside a neutral cover text,"
                }
            };
            format!(
                "{how} to {} (fingerprint verified: {}) and to ourselves",
                pretty_fingerprint(&pin.fingerprint),
                pin.verified
            )
        }
        Plan::Passphrase => "as files encrypted with a passphrase, which you tell them by telephone".to_owned(),
        Plan::Stub => {
            "a content-free mail that asks them to call: the text below is NOT sent, hand it over in another way"
                .to_owned()
        }
        Plan::SignedClear { source } => {
            format!("SIGNED, BUT IN CLEAR TEXT over TLS, which the profile allows: {source}")
        }
    }
}
