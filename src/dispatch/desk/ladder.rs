//! The way through when a notice cannot go out sealed by e-mail: what can be done now, in order, with the command,
//! the telephone number and the time left (design: invariant 1).

use serde::Serialize;

use crate::directory::profile::{ChannelKind, Profile};
use crate::model::Time;
use crate::model::id::BreachId;
use crate::model::time::show_left;

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
    pub fn for_certificate(profile: &Profile, breach: BreachId, deadline: Option<Time>, now: Time) -> Self {
        let id = &profile.id;
        let mut rungs = Vec::new();
        let place = profile.openpgp.as_ref().map_or_else(
            || "its own site".to_owned(),
            |openpgp| openpgp.url.clone().unwrap_or_else(|| "its own site".to_owned()),
        );
        let call = profile
            .phone()
            .map_or_else(String::new, |phone| format!(" ({})", phone.value));
        rungs.push(Rung {
            text: format!(
                "get a valid OpenPGP certificate from {place}, read its fingerprint back by telephone{call}, import it, and send again"
            ),
            command: Some(format!(
                "breachpost authority cert import {id} FILE --fingerprint FINGERPRINT --verified phone"
            )),
        });
        rungs.extend(other_channels(profile, breach));
        Self::with(rungs, deadline, now)
    }

    /// For an authority that takes no breach notices by e-mail.
    pub fn for_other_channels(profile: &Profile, breach: BreachId, deadline: Option<Time>, now: Time) -> Self {
        Self::with(other_channels(profile, breach), deadline, now)
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
            let (verb, name) = match channel.kind {
                ChannelKind::Portal => ("file it on the portal", "portal"),
                ChannelKind::Webform => ("file it with the web form", "webform"),
                ChannelKind::Phone => ("telephone", "phone"),
                ChannelKind::Post => ("send it by post or by hand to", "post"),
                ChannelKind::Email => return None,
            };
            let hours = channel
                .hours
                .as_ref()
                .map_or_else(String::new, |hours| format!(" ({hours})"));
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
