//! Whose trouble a fault is: what slows a domain, what counts against us, and what is between us and the relay. One
//! table; the first row that fits decides.

use super::delivery::{Fault, FaultCause, SmtpStep};

/// Whose trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// This one address: unknown, full, closed.
    Recipient,
    /// The recipient's domain, which asks us to slow down.
    Domain,
    /// Us: policy, reputation, authentication. Going on makes it worse.
    Us,
    /// The relay wants fewer connections, or has had enough of this one.
    Connections,
    /// The relay or the way to it.
    Relay,
}

/// When a row fits. Empty lists fit everything.
struct Row {
    steps: &'static [SmtpStep],
    /// First digits of the reply's code: `4`, `421`.
    code: &'static str,
    /// First digits of the enhanced status (RFC 3463) without its class: `7.` for 4.7.x and 5.7.x. `-` fits a reply without.
    status: &'static [&'static str],
    /// Any of these in the text, lower case.
    words: &'static [&'static str],
    blame: Blame,
}

const BEFORE_RCPT: &[SmtpStep] = &[
    SmtpStep::Connect,
    SmtpStep::Greeting,
    SmtpStep::Ehlo,
    SmtpStep::StartTls,
    SmtpStep::Tls,
    SmtpStep::Auth,
    SmtpStep::Mail,
];
const ABOUT_THE_MESSAGE: &[SmtpStep] = &[SmtpStep::Rcpt, SmtpStep::FinalDot];
const CONNECTION_WORDS: &[&str] = &[
    "too many connections",
    "too many concurrent",
    "concurrent connection",
    "connection limit",
    "connection rate",
    "too many sessions",
    "too many messages",
    "messages per connection",
];
const POLICY_WORDS: &[&str] = &[
    "spam",
    "blocked",
    "blocklist",
    "blacklist",
    "denylist",
    "reputation",
    "policy",
    "dmarc",
    "dkim",
    "spf",
    "relay access denied",
    "relaying denied",
    "not authorized",
    "authentication",
];

const fn row(
    steps: &'static [SmtpStep],
    code: &'static str,
    status: &'static [&'static str],
    words: &'static [&'static str],
    blame: Blame,
) -> Row {
    Row {
        steps,
        code,
        status,
        words,
        blame,
    }
}

const TABLE: &[Row] = &[
    // RFC 5321 §3.8: the server ends this connection, whatever we were about to do.
    row(&[], "421", &[], &[], Blame::Connections),
    row(BEFORE_RCPT, "4", &[], CONNECTION_WORDS, Blame::Connections),
    row(BEFORE_RCPT, "5", &[], CONNECTION_WORDS, Blame::Connections),
    row(BEFORE_RCPT, "5", &[], &[], Blame::Us),
    row(&[SmtpStep::Data], "5", &[], &[], Blame::Us),
    // Bad addresses of the sender stand among those of the recipient (RFC 3463 §3).
    row(ABOUT_THE_MESSAGE, "5", &["1.7", "1.8"], &[], Blame::Us),
    // The account is disabled, or belongs to another person now: policy by its number, but not about us.
    row(
        ABOUT_THE_MESSAGE,
        "5",
        &["1.", "2.", "4.", "7.13", "7.17"],
        &[],
        Blame::Recipient,
    ),
    row(ABOUT_THE_MESSAGE, "5", &["3.", "5.", "6.", "7."], &[], Blame::Us),
    row(ABOUT_THE_MESSAGE, "5", &[], POLICY_WORDS, Blame::Us),
    row(ABOUT_THE_MESSAGE, "5", &[], &[], Blame::Recipient),
    row(ABOUT_THE_MESSAGE, "4", &["1.", "2."], &[], Blame::Recipient),
    row(ABOUT_THE_MESSAGE, "4", &["3."], &[], Blame::Relay),
    row(ABOUT_THE_MESSAGE, "4", &[], &[], Blame::Domain),
];

/// Judges a fault. What is no reply (a broken connection, silence) says nothing about the message.
pub fn blame(fault: &Fault) -> Blame {
    let FaultCause::Reply(reply) = &fault.cause else {
        return match fault.cause {
            FaultCause::Bounce(_) | FaultCause::Unfit(_) => Blame::Recipient,
            _ => Blame::Relay,
        };
    };
    let code = reply.code.to_string();
    let status = reply.enhanced.as_deref().and_then(|status| status.split_once('.'));
    let status = status.map_or("-", |(_, rest)| rest);
    let text = reply.text.to_lowercase();
    let fits = |row: &&Row| {
        (row.steps.is_empty() || row.steps.contains(&fault.step))
            && code.starts_with(row.code)
            && (row.status.is_empty() || row.status.iter().any(|wanted| begins(status, wanted)))
            && (row.words.is_empty() || row.words.iter().any(|word| text.contains(word)))
    };
    TABLE.iter().find(fits).map_or(Blame::Relay, |row| row.blame)
}

/// `7.` fits 7.1 and 7.26; `1.7` fits 1.7 alone.
fn begins(status: &str, wanted: &str) -> bool {
    if wanted.ends_with('.') {
        status.starts_with(wanted)
    } else {
        status == wanted
    }
}

#[cfg(test)]
mod tests {
    use super::super::delivery::SmtpReply;
    use super::*;

    #[test]
    fn each_reply_is_somebodys() {
        for (step, code, enhanced, text, wanted) in [
            (
                SmtpStep::Rcpt,
                550,
                Some("5.1.1"),
                "no such user; see our policy",
                Blame::Recipient,
            ),
            (SmtpStep::Rcpt, 552, Some("5.2.2"), "mailbox full", Blame::Recipient),
            (SmtpStep::Rcpt, 550, None, "User unknown", Blame::Recipient),
            (
                SmtpStep::Rcpt,
                550,
                Some("5.7.17"),
                "mailbox owner has changed",
                Blame::Recipient,
            ),
            (SmtpStep::Rcpt, 553, Some("5.1.8"), "sender domain not found", Blame::Us),
            (SmtpStep::FinalDot, 554, Some("5.7.1"), "rejected", Blame::Us),
            (SmtpStep::FinalDot, 550, Some("5.7.26"), "DMARC", Blame::Us),
            (SmtpStep::Rcpt, 554, None, "Your address is on our BLOCKLIST", Blame::Us),
            (SmtpStep::Mail, 550, None, "go away", Blame::Us),
            (SmtpStep::Ehlo, 554, Some("5.7.1"), "go away", Blame::Us),
            (SmtpStep::Auth, 535, Some("5.7.8"), "bad credentials", Blame::Us),
            (
                SmtpStep::Greeting,
                421,
                None,
                "too many connections",
                Blame::Connections,
            ),
            (SmtpStep::Mail, 421, Some("4.7.0"), "closing", Blame::Connections),
            (
                SmtpStep::Greeting,
                450,
                None,
                "Too many concurrent sessions from you",
                Blame::Connections,
            ),
            (SmtpStep::Mail, 452, Some("4.3.1"), "disk full", Blame::Relay),
            (SmtpStep::Auth, 454, Some("4.7.0"), "try later", Blame::Relay),
            (SmtpStep::Rcpt, 450, Some("4.2.0"), "greylisted", Blame::Recipient),
            (SmtpStep::Rcpt, 452, Some("4.2.2"), "full", Blame::Recipient),
            (SmtpStep::Rcpt, 451, Some("4.3.0"), "our disk", Blame::Relay),
            (SmtpStep::Rcpt, 450, Some("4.7.1"), "rate limited", Blame::Domain),
            (SmtpStep::FinalDot, 451, None, "slow down", Blame::Domain),
        ] {
            let cause = FaultCause::Reply(SmtpReply {
                code,
                enhanced: enhanced.map(str::to_owned),
                text: text.to_owned(),
            });
            assert_eq!(
                blame(&Fault { step, cause }),
                wanted,
                "{step} {code} {enhanced:?} {text}"
            );
        }
        let cause = FaultCause::Network("broken".to_owned());
        let step = SmtpStep::Rcpt;
        assert_eq!(blame(&Fault { step, cause }), Blame::Relay);
    }
}
