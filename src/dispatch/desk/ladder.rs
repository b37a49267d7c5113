//! The way through when a notice cannot go out sealed by e-mail: what can be done now, in order, with the command,
//! the telephone number and the time left (design: invariant 1).

use serde::Serialize;

use crate::directory::profile::{ChannelKind, Profile, Purpose, Seal, UrlKind};
use crate::model::Time;
use crate::model::id::{BreachId, Reference};
use crate::model::notice;
use crate::model::time::show_left;

use super::CertificateTrouble;

/// One thing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rung {
    pub text: String,
    /// A command to run, where there is one.
    pub command: Option<String>,
}

/// The rungs in the order to try them, and how long there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ladder {
    pub deadline: Option<Time>,
    /// Such as `25 h 12 min left`.
    pub left: Option<String>,
    pub rungs: Vec<Rung>,
}

impl Ladder {
    /// For an authority whose certificate is missing or cannot be used.
    pub fn for_certificate(
        profile: &Profile,
        breach: BreachId,
        trouble: &CertificateTrouble,
        proposal_waits: bool,
        deadline: Option<Time>,
        now: Time,
    ) -> Self {
        let id = &profile.id;
        let place = profile.openpgp.as_ref().and_then(|openpgp| openpgp.url.as_deref());
        let call = profile
            .phone()
            .map_or_else(String::new, |phone| format!(" ({})", phone.value));
        let mut rungs = Vec::new();
        if proposal_waits {
            rungs.push(Rung {
                text: format!(
                    "a certificate was fetched and waits: read its fingerprint back by telephone{call}, approve it, and send again"
                ),
                command: Some(format!(
                    "breachpost authority cert approve {id} --fingerprint FINGERPRINT --verified phone"
                )),
            });
        } else if profile
            .openpgp
            .as_ref()
            .is_some_and(|key| key.url_kind == Some(UrlKind::Key))
        {
            rungs.push(Rung {
                text: "fetch the certificate that they publish; it waits then until you approve it".to_owned(),
                command: Some(format!("breachpost authority cert fetch {id}")),
            });
        }
        rungs.push(Rung {
            text: format!(
                "get a valid OpenPGP certificate from {}, read its fingerprint back by telephone{call}, import it, and send again",
                place.unwrap_or("the authority")
            ),
            command: Some(format!(
                "breachpost authority cert import {id} FILE --fingerprint FINGERPRINT --verified phone"
            )),
        });
        let by_override = |rung: notice::Rung, text: String| Rung {
            text,
            command: Some(format!(
                "breachpost notice send {breach} --to {id} --override {} --reason WHY",
                rung.name()
            )),
        };
        if trouble.is_expired() {
            let text =
                "encrypt to the expired certificate all the same: who holds its key can still read it".to_owned();
            rungs.push(by_override(notice::Rung::Expired, text));
        }
        if proposal_waits {
            let text = "encrypt to the fetched certificate before its fingerprint is verified: if it is not theirs, they cannot read it and somebody else may"
                .to_owned();
            rungs.push(by_override(notice::Rung::Unverified, text));
        }
        rungs.push(by_override(
            notice::Rung::Passphrase,
            format!("send it as files encrypted with a passphrase, and tell the passphrase by telephone{call}"),
        ));
        rungs.push(by_override(
            notice::Rung::Stub,
            "send a content-free mail that asks them to call, and hand the notice over in another way".to_owned(),
        ));
        if profile.seal != Seal::Required {
            let text = "send it signed in clear text over TLS, which this authority's profile allows".to_owned();
            rungs.push(by_override(notice::Rung::Tls, text));
        }
        rungs.extend(other_channels(profile, breach));
        Self::with(rungs, deadline, now)
    }

    /// For an authority that takes no breach notices by e-mail.
    pub fn for_other_channels(profile: &Profile, breach: BreachId, deadline: Option<Time>, now: Time) -> Self {
        Self::with(other_channels(profile, breach), deadline, now)
    }

    /// For a notice that the authority's server refused or gave back: who to ask, how to try again, and the other ways.
    pub fn for_returned(
        profile: &Profile,
        breach: BreachId,
        reference: &Reference,
        deadline: Option<Time>,
        now: Time,
    ) -> Self {
        let call = profile
            .phone()
            .map_or_else(String::new, |phone| format!(" ({})", phone.value));
        let mut rungs = vec![
            Rung {
                text: format!("call them{call}: say that your notice came back, and ask which address takes it"),
                command: Some(format!("breachpost notice show {reference} --call-sheet")),
            },
            Rung {
                text: "if the address is right and the trouble is over, try again".to_owned(),
                command: Some(format!("breachpost notice retry {reference}")),
            },
        ];
        rungs.extend(other_channels(profile, breach));
        Self::with(rungs, deadline, now)
    }

    fn with(rungs: Vec<Rung>, deadline: Option<Time>, now: Time) -> Self {
        Self {
            deadline,
            left: deadline.map(|deadline| show_left(now, deadline)),
            rungs,
        }
    }
}

/// Portal, form, telephone, post: each with how to book it afterwards.
fn other_channels(profile: &Profile, breach: BreachId) -> Vec<Rung> {
    profile
        .ways()
        .into_iter()
        .filter_map(|channel| {
            let hours = channel
                .hours
                .as_ref()
                .map_or_else(String::new, |hours| format!(" ({hours})"));
            if channel.purpose == Purpose::General {
                // A general number or address takes no notices: it is for asking how to hand one over.
                let (verb, log) = match channel.kind {
                    ChannelKind::Phone => ("telephone", "--kind call --text 'WHO SAID WHAT'"),
                    ChannelKind::Post => ("write to", "--kind note --text 'WHAT WAS WRITTEN'"),
                    _ => return None,
                };
                return Some(Rung {
                    text: format!("{verb} {}{hours} and ask how to hand it over; log it", channel.value),
                    command: Some(format!("breachpost breach log {breach} {log}")),
                });
            }
            let (verb, name) = match channel.kind {
                ChannelKind::Portal => ("file it on the portal", "portal"),
                ChannelKind::Webform => ("file it with the web form", "webform"),
                ChannelKind::Phone => ("telephone", "phone"),
                ChannelKind::Post => ("send it by post or by hand to", "post"),
                ChannelKind::Email => return None,
            };
            Some(Rung {
                text: format!("{verb} {}{hours}, then book it", channel.value),
                command: Some(format!(
                    "breachpost notice record {breach} --to {} --channel {name} --reference NUMBER",
                    profile.id
                )),
            })
        })
        .collect()
}
