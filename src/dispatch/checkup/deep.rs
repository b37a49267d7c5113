//! The look that sends mail: a neutral one from us to us over the real path, and what can be learnt from its way. Each
//! step has its time limit, and none that fails keeps another from being taken.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::Deserialize;

use super::Finding;
use crate::config::{Mailbox, Oauth2, TokenSource, Verp};
use crate::dispatch::causes::chain;
use crate::dispatch::dkim;
use crate::dispatch::office::{Office, Way};
use crate::dispatch::rehearsal::{self, About, Rehearsal, Trip, Verdict};
use crate::message::authenticity::{self, Said};
use crate::message::open::{self, Opened};
use crate::model::Time;
use crate::model::id::Actor;
use crate::model::plural::counted;
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
    let main = office.way_to_authorities();
    findings.extend(path(office, &main, &TO_AUTHORITIES, wait, by).await);
    if let Some(way) = office.way_to_individuals() {
        findings.extend(path(office, &way, &TO_INDIVIDUALS, wait, by).await);
    }
    findings
}

/// What the findings about one way are called.
struct Names {
    path: &'static str,
    plus: &'static str,
    sender: &'static str,
    reports: &'static str,
    clock: &'static str,
}
const TO_AUTHORITIES: Names = Names {
    path: "path",
    plus: "plus",
    sender: "sender",
    reports: "reports",
    clock: "clock",
};
const TO_INDIVIDUALS: Names = Names {
    path: "individuals.path",
    plus: "individuals.plus",
    sender: "individuals.sender",
    reports: "individuals.reports",
    clock: "individuals.clock",
};

async fn path(office: &Office, way: &Way<'_>, names: &Names, wait: Duration, by: &Actor) -> Vec<Finding> {
    let plus = way.sender.verp == Verp::Plus;
    let mut letters = Vec::new();
    for with_plus in [false, true].into_iter().filter(|with_plus| plus || !with_plus) {
        match rehearsal::neutral_letter(office, way, with_plus).await {
            Ok(letter) => letters.push((letter, About::default())),
            Err(error) => return vec![Finding::bad(names.path, chain(&error), "breachpost key show")],
        }
    }
    let done = match rehearsal::journey(office, way, letters, wait, by).await {
        Ok(done) => done,
        Err(error) => {
            return vec![Finding::bad(
                names.path,
                chain(&error),
                "mend it, then: breachpost doctor --deep",
            )];
        }
    };
    let Some((first, trip)) = done.first() else {
        return Vec::new();
    };
    let mut findings = vec![round_trip(names.path, first)];
    if !trip.arrived.is_empty() {
        findings.extend(
            done.get(1)
                .map(|(second, trip)| plus_address(way, names.plus, second, trip)),
        );
        findings.push(sender(office, way, names.sender, &trip.arrived[0]).await);
        findings.push(report(names.reports, first));
        let clock = |theirs| clock(names.clock, first.sent_at, theirs, first.round_trip_ms);
        findings.extend(first.server_time.map(clock));
    }
    findings
}

/// Did it come back as it was sent?
fn round_trip(what: &'static str, done: &Rehearsal) -> Finding {
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
        Verdict::Unchanged | Verdict::Harmless => Finding::good(what, text),
        Verdict::Twice => Finding::warning(what, text, remedy),
        _ => Finding::bad(what, text, remedy),
    }
}

/// `verp: plus` rests on it: a bounce names what it is about by such an address.
fn plus_address(way: &Way<'_>, what: &'static str, done: &Rehearsal, trip: &Trip) -> Finding {
    let (about, setting) = match way.to_individuals {
        true => ("person", "verp: none` for the sender of individuals"),
        false => ("notice", "sender: { verp: none }`"),
    };
    match trip.arrived.is_empty() {
        false => Finding::good(
            what,
            format!("mail to an address with a plus arrives: bounces find their {about}"),
        ),
        true => Finding::bad(
            what,
            format!("mail to the address with a plus did not come back: {}", done.summary),
            format!("set `{setting} in config.yaml, or have the mail server take local+anything@domain (RFC 5233)"),
        ),
    }
}

/// Delivery reports: asked for with every notice, and of failures and delays with every message to a person.
fn report(what: &'static str, done: &Rehearsal) -> Finding {
    match (done.delivery_report, done.relay.dsn) {
        (true, _) => Finding::good(what, "a report of success came back: arrivals will be proven"),
        (false, Some(true)) => Finding::good(
            what,
            "a report of success was asked for; none came within the wait, as is usual for one's own mailbox",
        ),
        (false, _) => Finding::warning(
            what,
            "the relay offers no delivery reports (DSN)",
            "nothing to do; arrival is then proven by acknowledgements alone",
        ),
    }
}

/// SPF, DKIM and DMARC, as our own server saw them, else DKIM by the name servers.
async fn sender(office: &Office, way: &Way<'_>, what: &'static str, raw: &[u8]) -> Finding {
    const REMEDY: &str = "ask whoever runs the mail server to sign with DKIM for the domain of `sender.address`, and to \
                          publish SPF and DMARC for it; authorities refuse mail whose sender is not proven";
    let opened = open::open(raw, None, &[], office.now());
    let Some(from) = authenticity::from_domain(&opened) else {
        return Finding::bad(what, "what came back has no single From address", REMEDY);
    };
    let trusted = way.mailbox.and_then(|mailbox| mailbox.trusted_authserv_id.as_ref());
    let said = trusted.and_then(|trusted| authenticity::said_by_our_server(&opened, trusted.as_str()));
    match said {
        Some(said) => sender_by_server(what, &from, &said, REMEDY),
        None => {
            let blind = match trusted {
                Some(trusted) => format!("{trusted} wrote no Authentication-Results into it"),
                None => format!(
                    "your server's own verdict is not read: see {}.trusted_authserv_id",
                    way.mailbox_setting
                ),
            };
            sender_by_names(office, raw, &opened, (what, &from), &blind, REMEDY).await
        }
    }
}

fn sender_by_server(what: &'static str, from: &str, said: &[Said], remedy: &str) -> Finding {
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
        Finding::good(what, text)
    } else if is("dmarc", "fail") || is("dkim", "fail") {
        Finding::bad(what, text, remedy)
    } else {
        Finding::warning(what, text, remedy)
    }
}

async fn sender_by_names(
    office: &Office,
    raw: &[u8],
    opened: &Opened,
    (what, from): (&'static str, &str),
    blind: &str,
    remedy: &str,
) -> Finding {
    if opened.header("DKIM-Signature").is_none() {
        let text = format!(
            "the mail carries no DKIM signature for {from}; servers often sign only what leaves the house ({blind})"
        );
        return Finding::warning(what, text, remedy);
    }
    let found = dkim::check(raw, from, office.names.as_ref()).await;
    let text = format!("{} ({blind})", found.words());
    match found.result {
        Checked::Passed => Finding::good(what, text),
        Checked::Failed => Finding::bad(what, text, remedy),
        Checked::NotChecked | Checked::Nothing => Finding::warning(what, text, remedy),
    }
}

/// Our clock against that of the server that put the mail into the mailbox.
fn clock(what: &'static str, sent_at: Time, theirs: Time, round_trip_ms: Option<u64>) -> Finding {
    let way = TimeDelta::milliseconds(round_trip_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or_default());
    let apart = theirs - sent_at;
    // What lies within the time that the mail took is no difference.
    let skew = match apart {
        apart if apart < TimeDelta::zero() => apart,
        apart => (apart - way).max(TimeDelta::zero()),
    };
    let seconds = skew.num_seconds().abs();
    if skew.abs() <= SKEW_NORMAL {
        return Finding::good(what, "this clock and the mail server's agree");
    }
    let ours = if skew < TimeDelta::zero() { "ahead of" } else { "behind" };
    let text = format!("this clock is {seconds} s {ours} the mail server's, or the mail took that long");
    let remedy = "set the clock by NTP: timedatectl set-ntp true; deadlines are counted by this clock";
    match skew.abs() >= SKEW_BAD {
        true => Finding::bad(what, text, remedy),
        false => Finding::warning(what, text, remedy),
    }
}

/// The access tokens for relays and mailboxes: is there one, and does it live long enough?
async fn tokens(office: &Office) -> Vec<Finding> {
    let config = &office.config;
    let own = &config.individuals;
    let of_mailbox = |mailbox: &'_ Option<Mailbox>| mailbox.as_ref().and_then(|mailbox| mailbox.oauth2.clone());
    let named = [
        ("relay.oauth2", config.relay.oauth2.clone()),
        ("mailbox.oauth2", of_mailbox(&config.mailbox)),
        (
            "individuals.relay.oauth2",
            own.relay.as_ref().and_then(|relay| relay.oauth2.clone()),
        ),
        ("individuals.mailbox.oauth2", of_mailbox(&own.mailbox)),
    ];
    let mut findings = Vec::new();
    for (what, oauth2) in named {
        if let Some(oauth2) = oauth2 {
            findings.push(token(office, what, &oauth2).await);
        }
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
        Finding::good("token", format!("{text}, in {}", counted(left.num_minutes(), "minute")))
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
            let found = clock("clock", at(0), at(theirs), Some(way_ms));
            assert_eq!(found.grade, grade, "{theirs} s after {way_ms} ms: {}", found.text);
        }
        assert!(clock("clock", at(0), at(-60), None).text.contains("ahead of"));
        assert!(clock("clock", at(0), at(60), None).text.contains("behind"));
    }
}
