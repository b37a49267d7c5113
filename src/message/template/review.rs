//! Who has read a template before it may be sent, as its head says: `Reviewed: nobody`, or `Reviewed: 2026-11-20 by Claire
//! Weber, lawyer`. Knows nothing of what the template says.

use chrono::NaiveDate;

use super::SUBJECT;

/// How a line about the review begins, in every language.
const REVIEWED: &str = "Reviewed:";

/// Whether somebody who answers for it has read a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// The head does not say.
    NotSaid,
    Nobody,
    By {
        who: String,
        on: NaiveDate,
    },
}

impl Review {
    /// What the comments before the subject say.
    pub(super) fn in_head(source: &str) -> Self {
        let head = source.lines().take_while(|line| !line.starts_with(SUBJECT));
        let said = head.filter_map(|line| line.trim_start().strip_prefix(REVIEWED)).next();
        let Some(said) = said.map(str::trim) else {
            return Self::NotSaid;
        };
        if said.starts_with("nobody") {
            return Self::Nobody;
        }
        let (on, who) = said.split_once(" by ").unwrap_or_default();
        match on.trim().parse() {
            Ok(on) if !who.trim().is_empty() => Self::By {
                who: who.trim().trim_end_matches('.').to_owned(),
                on,
            },
            _ => Self::NotSaid,
        }
    }

    /// In a few words, for a list.
    pub fn said(&self) -> String {
        match self {
            Self::NotSaid => "not said".to_owned(),
            Self::Nobody => "nobody".to_owned(),
            Self::By { who, on } => format!("{on} by {who}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let by = |who: &str| Review::By {
            who: who.to_owned(),
            on: "2026-11-20".parse().unwrap(),
        };
        for (head, wanted) in [
            ("  Reviewed: nobody. No lawyer has read it.", Review::Nobody),
            (
                "  Reviewed: 2026-11-20 by Claire Weber, lawyer",
                by("Claire Weber, lawyer"),
            ),
            ("  Reviewed: last week by Claire", Review::NotSaid),
            ("  Reviewed: 2026-11-20 by ", Review::NotSaid),
            ("  A template", Review::NotSaid),
            ("Subject: x\nReviewed: nobody", Review::NotSaid),
        ] {
            assert_eq!(
                Review::in_head(&format!("{{{{!--\n{head}\n--}}}}\nSubject: x\n")),
                wanted,
                "{head}"
            );
        }
    }
}
