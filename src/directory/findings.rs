//! What a person should still look into before relying on a profile: old checks, missing keys, addresses known at second
//! hand. Findings inform; what makes a profile unusable is `validate`'s. The present is an argument.

use chrono::NaiveDate;

use super::profile::{AuthorityKind, Channel, ChannelKind, Confidence, Profile, Purpose};
use crate::model::Time;

/// After half a year a profile should be compared with the live pages again: several authorities change their key yearly.
const CHECK_AFTER_DAYS: i64 = 183;

impl Profile {
    /// What a person should still do before relying on this profile: one readable line each, none when all is well.
    pub fn findings(&self, now: Time) -> Vec<String> {
        let today = now.with_timezone(&self.timezone()).date_naive();
        let mut lines = Vec::new();
        lines.extend(self.channel_finding());
        lines.extend(self.channels.iter().filter(|c| is_recalled_address(c)).map(|c| {
            format!(
                "the breach address {} is recalled only and not used: check it, then state its source in an overlay",
                c.value
            )
        }));
        if self.breach_email().is_some() || self.kind == AuthorityKind::Csirt {
            lines.extend(self.key_finding(today));
        }
        lines.extend(self.check_finding(today));
        lines
    }

    fn channel_finding(&self) -> Option<String> {
        let ask = self.phone().map_or_else(
            || "ask the authority".to_owned(),
            |phone| format!("ask at {}", phone.value),
        );
        if self.kind == AuthorityKind::Csirt {
            return Some(
                "an incident response team takes no notices under GDPR Art. 33; tell it besides, not instead"
                    .to_owned(),
            );
        }
        match (self.breach_email(), self.portal()) {
            (Some(email), _) if email.confidence == Confidence::Confirmed => None,
            (Some(email), _) => Some(format!(
                "the breach address {} is known at second hand only: compare it with the authority's page",
                email.value
            )),
            (None, Some(online)) => Some(format!(
                "no breach e-mail address can be used: file through {} ({}) and book it with `breachpost notice record`",
                online.value,
                online.confidence.name()
            )),
            (None, None) => Some(format!("no channel for breaches is known: {ask}")),
        }
    }

    fn key_finding(&self, today: NaiveDate) -> Option<String> {
        let verify = match self.phone() {
            Some(phone) => format!("have its fingerprint read out at {}", phone.value),
            None => "verify its fingerprint with the authority".to_owned(),
        };
        let Some(key) = &self.openpgp else {
            return Some(format!(
                "no OpenPGP key is known: ask the authority for one and {verify}"
            ));
        };
        if let Some(expired) = key.expires.filter(|day| *day < today) {
            return Some(format!(
                "the published key ran out on {expired}: fetch its successor and {verify}"
            ));
        }
        let fetch = match &key.url {
            Some(url) => format!("fetch the key at {url}"),
            None => "fetch the key".to_owned(),
        };
        key.published_fingerprint
            .is_none()
            .then(|| format!("no fingerprint is published: {fetch} and {verify}"))
    }

    fn check_finding(&self, today: NaiveDate) -> Option<String> {
        let Some(checked) = &self.checked else {
            return Some("nobody has compared this profile with the authority's live pages yet".to_owned());
        };
        match (today - checked.on).num_days() {
            ..0 => Some(format!(
                "the date of its last check, {}, lies in the future",
                checked.on
            )),
            0..=CHECK_AFTER_DAYS => None,
            days => Some(format!(
                "last compared with the live pages {days} days ago ({}, by {}): do it again",
                checked.on, checked.by
            )),
        }
    }
}

fn is_recalled_address(c: &Channel) -> bool {
    c.kind == ChannelKind::Email && c.purpose == Purpose::Breach && c.confidence == Confidence::Recalled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::samples::{SOUND, read};

    #[test]
    fn findings_say_what_is_left_to_do() {
        let now: Time = "2026-11-21T10:00:00Z".parse().unwrap();
        let good = SOUND.replace(
            "url_kind: page,",
            &format!("url_kind: page, published_fingerprint: {},", "ab".repeat(20)),
        );
        assert_eq!(read(&good).findings(now), [""; 0]);
        let table = [
            ("checked: { by: Anna, on: 2026-11-01 }", "", "nobody has compared"),
            ("on: 2026-11-01", "on: 2026-05-21", "184 days ago"),
            ("on: 2026-11-01", "on: 2027-01-01", "in the future"),
            (
                "for: breach, source: s, confidence: confirmed",
                "for: breach, source: s, confidence: secondary",
                "second hand",
            ),
            (
                "for: breach, source: s, confidence: confirmed",
                "for: breach, source: s, confidence: recalled",
                "recalled only",
            ),
            ("for: breach", "for: general", "ask at +352 1"),
            ("supervisory", "csirt", "takes no notices under GDPR Art. 33"),
            (
                "kind: email, value: breach@office.example",
                "kind: portal, value: e-Box",
                "file through e-Box",
            ),
            (
                "url_kind: page,",
                "url_kind: page, expires: 2026-11-20,",
                "ran out on 2026-11-20",
            ),
            ("openpgp:", "notice: {}\n#", "no OpenPGP key is known"),
        ];
        for (from, to, wanted) in table {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good, "{from}");
            let lines = read(&text).findings(now);
            assert!(lines.iter().any(|l| l.contains(wanted)), "{wanted}: {lines:?}");
        }
        let lines = read(SOUND).findings(now);
        assert_eq!(
            lines,
            [
                "no fingerprint is published: fetch the key at https://office.example/key and have its fingerprint read out at +352 1"
            ]
        );
    }
}
