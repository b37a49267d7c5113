//! Two certificates side by side, so that a person sees what differs. Judges nothing.

use serde::Serialize;

use super::facts::{CertificateFacts, SubkeyFacts};

/// One line of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// `fingerprint`, `user id`, `algorithm`, `created`, `expires`, `usable now` or `subkey`.
    pub what: &'static str,
    pub pinned: Option<String>,
    pub fetched: Option<String>,
    /// Whether there is a pinned one, and it says otherwise.
    pub differs: bool,
}

/// Puts the pinned certificate, where there is one, beside the fetched one.
pub fn compare(pinned: Option<&CertificateFacts>, fetched: &CertificateFacts) -> Vec<Compared> {
    let row = |what, from: Option<String>, to: Option<String>| Compared {
        differs: pinned.is_some() && from != to,
        what,
        pinned: from,
        fetched: to,
    };
    let both = |what, tell: fn(&CertificateFacts) -> String| row(what, pinned.map(tell), Some(tell(fetched)));
    let mut rows = vec![
        both("fingerprint", |facts| facts.fingerprint.clone()),
        both("algorithm", |facts| facts.algorithm.clone()),
        both("created", |facts| facts.created.format("%Y-%m-%d").to_string()),
        both("expires", |facts| expiry(facts.expires)),
        both("usable now", |facts| {
            if facts.problems.is_empty() { "yes" } else { "no" }.to_owned()
        }),
    ];
    let ids = |facts: &CertificateFacts| facts.user_ids.clone();
    for (from, to) in side_by_side(&pinned.map(ids).unwrap_or_default(), &fetched.user_ids, |id| id.clone()) {
        rows.push(row("user id", from, to));
    }
    let subkeys = pinned.map(|facts| facts.subkeys.clone()).unwrap_or_default();
    let pairs = side_by_side(&subkeys, &fetched.subkeys, |key| key.fingerprint.clone());
    for (from, to) in pairs {
        rows.push(row("subkey", from.as_ref().map(subkey), to.as_ref().map(subkey)));
    }
    rows
}

/// What stands in both, in the order of the first, then what only the second has.
fn side_by_side<T: Clone>(first: &[T], second: &[T], name: impl Fn(&T) -> String) -> Vec<(Option<T>, Option<T>)> {
    let find = |all: &[T], wanted: &T| all.iter().find(|one| name(one) == name(wanted)).cloned();
    let known = first.iter().map(|one| (Some(one.clone()), find(second, one)));
    let new = second.iter().filter(|one| find(first, one).is_none());
    known.chain(new.map(|one| (None, Some(one.clone())))).collect()
}

fn subkey(key: &SubkeyFacts) -> String {
    let uses = match key.uses.is_empty() {
        true => "no use".to_owned(),
        false => key.uses.join(", "),
    };
    let end = if key.revoked {
        "revoked".to_owned()
    } else {
        expiry(key.expires)
    };
    // Enough to tell them apart: what counts is the fingerprint of the whole.
    let name = &key.fingerprint[..key.fingerprint.len().min(16)];
    format!("{name}… {} ({uses}), {end}", key.algorithm)
}

fn expiry(expires: Option<crate::model::Time>) -> String {
    expires.map_or_else(|| "never".to_owned(), |on| on.format("%Y-%m-%d").to_string())
}
