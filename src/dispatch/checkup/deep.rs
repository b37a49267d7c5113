//! The look that sends mail: a neutral one from us to us over the real path, and what can be learnt from its way. Each
//! step has its time limit, and none that fails keeps another from being taken.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::Deserialize;

use super::{Finding, chain};
use crate::config::{Oauth2, TokenSource, Verp};
use crate::dispatch::dkim;
use crate::dispatch::office::Office;
use crate::dispatch::rehearsal::{self, About, Rehearsal, Trip, Verdict};
use crate::message::authenticity::{self, Said};
use crate::message::open::{self, Opened};
use crate::model::Time;
use crate::model::id::Actor;
use crate::model::receipt::Checked;

/// A token that ends sooner is renewed too late for a mail that is sent now.
const TOKEN_LEAST: TimeDelta = TimeDelta::minutes(5);
/// Clocks differ a little, and servers write whole seconds.
const SKEW_NORMAL: TimeDelta = TimeDelta::seconds(5);
/// From here on, tokens, signatures and TLS certificates are judged wrongly.
const SKEW_BAD: TimeDelta = TimeDelta::minutes(5);

/// Sends and looks; waits at most `wait` for what was sent.
pub async fn look(office: &Office, wait: Duration, by: &Actor) -> Vec<Finding> {
    let mut findings = tokens(office).await;
    findings.extend(path(office, wait, by).await);
    findings
}

async fn path(office: &Office, wait: Duration, by: &Actor) -> Vec<Finding> {
    let address = office.config.sender.address.as_str();
    let plus = office.config.sender.verp == Verp::Plus;
    let mut letters = Vec::new();
    for with_plus in [false, true].into_iter().filter(|with_plus| plus || !with_plus) {
        match rehearsal::neutral_letter(office, address, with_plus).await {
            Ok(letter) => letters.push((letter, About::default())),
            Err(error) => return vec![Finding::bad("path", chain(&error), "breachpost key show")],
        }
    }
    let done = match rehearsal::journey(office, letters, wait, by).await {
        Ok(done) => done,
        Err(error) => {
            return vec![Finding::bad(
                "path",
                chain(&error),
                "mend it, then: breachpost doctor --deep",
            )];
        }
    };
    let Some((first, trip)) = done.first() else {
        return Vec::new();
    };
    let mut findings = vec![round_trip(first)];
    if !trip.arrived.is_empty() {
        findings.extend(done.get(1).map(|(second, trip)| plus_address(second, trip)));
        findings.push(sender(office, &trip.arrived[0]).await);
        findings.push(report(first));
        findings.extend(
            first
                .server_time
                .map(|theirs| clock(first.sent_at, theirs, first.round_trip_ms)),
        );
    }
    findings
}

/// Did it come back as it was sent?
fn round_trip(done: &Rehearsal) -> Finding {
    let mut text = done.summary.clone();
    if let (Some(after), Some(hops)) = (done.round_trip_ms, done.hops) {
        text.push_str(&format!(" (after {after} ms, over {hops} servers)"));
    }
    for change in &done.changes {
        text.push_str(&format!("; {}", change.text));
    }
    let remedy = match done.todo.is_empty() {
        true => "ask whoever runs the mail server".to_owned(),
        false => done.todo.join("; "),
    };
    match done.verdict {
        Verdict::Unchanged | Verdict::Harmless => Finding::good("path", text),
        Verdict::Twice => Finding::warning("path", text, remedy),
        _ => Finding::bad("path", text, remedy),
    }
}

/// `sender.verp: plus` rests on it: a bounce names its notice by such an address.
fn plus_address(done: &Rehearsal, trip: &Trip) -> Finding {
    match trip.arrived.is_empty() {
        false => Finding::good(
            "plus",
            "mail to an address with a plus arrives: bounces find their notice",
        ),
        true => Finding::bad(
            "plus",
            format!("mail to the address with a plus did not come back: {}", done.summary),
            "set `sender: { verp: none }` in config.yaml, or have the mail server take local+anything@domain (RFC 5233)",
        ),
    }
}

/// Delivery reports: asked for with every notice.
fn report(done: &Rehearsal) -> Finding {
    match (done.delivery_report, done.relay.dsn) {
        (true, _) => Finding::good("reports", "a report of success came back: arrivals will be proven"),
        (false, Some(true)) => Finding::good(
            "reports",
            "a report of success was asked for; none came within the wait, as is usual for one's own mailbox",
        ),
        (false, _) => Finding::warning(
            "reports",
            "the relay offers no delivery reports (DSN)",
            "nothing to do; arrival is then proven by acknowledgements alone",
        ),
    }
}

/// SPF, DKIM and DMARC, as our own server saw them, else DKIM by the name servers.
async fn sender(office: &Office, raw: &[u8]) -> Finding {
    const REMEDY: &str = "ask whoever runs the mail server to sign with DKIM for the domain of `sender.address`, and to \
                          publish SPF and DMARC for it; authorities refuse mail whose sender is not proven";
    let opened = open::open(raw, None, &[], office.now());
    let Some(from) = authenticity::from_domain(&opened) else {
        return Finding::bad("sender", "what came back has no single From address", REMEDY);
    };
    let settings = office.config.mailbox.as_ref();
    let trusted = settings.and_then(|mailbox| mailbox.trusted_authserv_id.as_ref());
    let said = trusted.and_then(|trusted| authenticity::said_by_our_server(&opened, trusted.as_str()));
    match said {
        Some(said) => sender_by_server(&from, &said, REMEDY),
        None => {
            let blind = match trusted {
                Some(trusted) => format!("{trusted} wrote no Authentication-Results into it"),
                None => "your server's own verdict is not read: see mailbox.trusted_authserv_id".to_owned(),
            };
            sender_by_names(office, raw, &opened, &from, &blind, REMEDY).await
        }
    }
}

fn sender_by_server(from: &str, said: &[Said], remedy: &str) -> Finding {
    let told = said
        .iter()
        .filter(|one| ["spf", "dkim", "dmarc"].contains(&one.method.as_str()));
    let told = told.map(|one| {
        let domain = one.domain.as_deref().unwrap_or("no domain");
        let fits = if one.aligned {
            ""
        } else {
            ", which does not speak for the From address"
        };
        format!("{} says {} of {domain}{fits}", one.method.to_uppercase(), one.result)
    });
    let told: Vec<String> = told.collect();
    let text = match told.is_empty() {
        true => format!("your mail server checked nothing of the sender {from}"),
        false => format!("for {from}: {}", told.join("; ")),
    };
    let is = |method: &str, result: &str| {
        said.iter()
            .any(|one| one.method == method && one.result == result && one.aligned)
    };
    if is("dmarc", "pass") || (is("dkim", "pass") && !is("dmarc", "fail")) {
        Finding::good("sender", text)
    } else if is("dmarc", "fail") || is("dkim", "fail") {
        Finding::bad("sender", text, remedy)
    } else {
        Finding::warning("sender", text, remedy)
    }
}

async fn sender_by_names(
    office: &Office,
    raw: &[u8],
    opened: &Opened,
    from: &str,
    blind: &str,
    remedy: &str,
) -> Finding {
    if opened.header("DKIM-Signature").is_none() {
        let text = format!(
            "the mail carries no DKIM signature for {from}; servers often sign only what leaves the house ({blind})"
        );
        return Finding::warning("sender", text, remedy);
    }
    let found = dkim::check(raw, from, office.names.as_ref()).await;
    let text = format!("{} ({blind})", found.words());
    match found.result {
        Checked::Passed => Finding::good("sender", text),
        Checked::Failed => Finding::bad("sender", text, remedy),
        Checked::NotChecked | Checked::Nothing => Finding::warning("sender", text, remedy),
    }
}

/// Our clock against that of the server that put the mail into the mailbox.
fn clock(sent_at: Time, theirs: Time, round_trip_ms: Option<u64>) -> Finding {
    let way = TimeDelta::milliseconds(round_trip_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or_default());
    let apart = theirs - sent_at;
    // What lies within the time that the mail took is no difference.
    let skew = match apart {
        apart if apart < TimeDelta::zero() => apart,
        apart => (apart - way).max(TimeDelta::zero()),
    };
    let seconds = skew.num_seconds().abs();
    if skew.abs() <= SKEW_NORMAL {
        return Finding::good("clock", "this clock and the mail server's agree");
    }
    let ours = if skew < TimeDelta::zero() { "ahead of" } else { "behind" };
    let text = format!("this clock is {seconds} s {ours} the mail server's, or the mail took that long");
    let remedy = "set the clock by NTP: timedatectl set-ntp true; deadlines are counted by this clock";
    match skew.abs() >= SKEW_BAD {
        true => Finding::bad("clock", text, remedy),
        false => Finding::warning("clock", text, remedy),
    }
}

/// The access tokens for relay and mailbox: is there one, and does it live long enough?
async fn tokens(office: &Office) -> Vec<Finding> {
    let config = &office.config;
    let relay = config.relay.oauth2.as_ref().map(|oauth2| ("relay.oauth2", oauth2));
    let mailbox = config.mailbox.as_ref().and_then(|mailbox| mailbox.oauth2.as_ref());
    let mut findings = Vec::new();
    for (what, oauth2) in relay
        .into_iter()
        .chain(mailbox.map(|oauth2| ("mailbox.oauth2", oauth2)))
    {
        findings.push(token(office, what, oauth2).await);
    }
    findings
}

async fn token(office: &Office, what: &str, oauth2: &Oauth2) -> Finding {
    let source = &oauth2.token;
    let fetched = match source.fetch(&office.home).await {
        Ok(token) => token,
        Err(error) => return Finding::bad("token", format!("{what}: {}", chain(&error)), "mend it in config.yaml"),
    };
    let Some(end) = end_of(fetched.expose()) else {
        let again = source.fetch(&office.home).await;
        let renewed = again.is_ok_and(|again| again.expose() != fetched.expose());
        let how = if renewed {
            "renewed at each call"
        } else {
            "the same at each call"
        };
        return Finding::good(
            "token",
            format!("{what}: there is one, {how}; it does not say when it ends"),
        );
    };
    let left = end - office.now();
    let text = format!("{what}: ends at {} UTC", end.format("%Y-%m-%d %H:%M"));
    let remedy = match source {
        TokenSource::Command(_) => "the command of `oauth2` must give a fresh one: run it by hand as the same user",
        TokenSource::Place(_) => "whatever writes the token must renew it before its end: look whether that still runs",
    };
    if left <= TimeDelta::zero() {
        Finding::bad("token", format!("{text}: it has EXPIRED"), remedy)
    } else if left < TOKEN_LEAST {
        Finding::warning("token", format!("{text}: in {} s", left.num_seconds()), remedy)
    } else {
        Finding::good("token", format!("{text}, in {} minutes", left.num_minutes()))
    }
}

/// When a token ends that is a JWT (RFC 7519 §4.1.4). Its signature is the server's to check.
fn end_of(token: &str) -> Option<Time> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let exp = serde_json::from_slice::<Claims>(&bytes).ok()?.exp;
    Time::from_timestamp(exp as i64, 0)
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_timestamp(1_795_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_jwt_says_when_it_ends_and_nothing_else_does() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(end_of(&jwt(r#"{"exp":1795000000,"sub":"x"}"#)), Some(at(0)));
        assert_eq!(end_of(&jwt(r#"{"exp":1795000000.5}"#)), Some(at(0)));
        assert_eq!(end_of(&format!("{}=.x", jwt(r#"{"exp":1795000000}"#))), None);
        for other in [
            "",
            "a.b.c",
            "opaque",
            "ya29.a0AfB.x",
            &jwt("{}"),
            &jwt(r#"{"exp":"soon"}"#),
            &jwt("[]"),
        ] {
            assert_eq!(end_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_way_of_a_mail_is_no_skew() {
        for (theirs, way_ms, grade) in [
            (0, 100, Grade::Good),
            (-5, 100, Grade::Good),
            (40, 40_000, Grade::Good),
            (47, 40_000, Grade::Warning),
            (-60, 40_000, Grade::Warning),
            (-300, 0, Grade::Bad),
            (3600, 2_000, Grade::Bad),
        ] {
            let found = clock(at(0), at(theirs), Some(way_ms));
            assert_eq!(found.grade, grade, "{theirs} s after {way_ms} ms: {}", found.text);
        }
        assert!(clock(at(0), at(-60), None).text.contains("ahead of"));
        assert!(clock(at(0), at(60), None).text.contains("behind"));
    }
}
