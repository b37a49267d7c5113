//! Whether a mail was signed by the domain it says it comes from (DKIM, RFC 6376; DMARC, RFC 7489), by asking the name
//! servers. Bounded in time and questions; what cannot be asked is "not checked" and never holds a mail back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use async_trait::async_trait;
use mail_auth::common::cache::NoCache;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::hickory_resolver::proto::rr::{Name, RData};
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, DnsError, Error, MX, MessageAuthenticator, Parameters,
    RecordSet, ResolverCache, SpfOutput, Txt,
};

use crate::message::authenticity::is_aligned;
use crate::model::receipt::{Authenticity, Checked, Means};

/// All questions about one mail together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Signatures looked at; more are no sender's habit.
const MOST_SIGNATURES: usize = 8;
/// Parents of the From domain asked for a policy (RFC 9989 §4.10 asks at most eight).
const MOST_PARENTS: usize = 4;

/// A question to the name servers got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name servers do not answer")]
pub struct NoAnswer;

/// Who knows the texts of names. The operating system's name servers, or a table in a test.
#[async_trait]
pub trait Names: Send + Sync {
    /// The TXT records of a name; empty when there are none.
    ///
    /// # Errors
    /// [`NoAnswer`]: whether there are any is not known.
    async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, NoAnswer>;
}

/// The name servers that the operating system names.
pub struct SystemNames;
#[async_trait]
impl Names for SystemNames {
    async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, NoAnswer> {
        let resolver = MessageAuthenticator::new_system_conf().map_err(|_| NoAnswer)?;
        let name = Name::from_str_relaxed(name).map_err(|_| NoAnswer)?;
        match resolver.0.txt_lookup(name).await {
            Ok(found) => {
                let texts = found.answers().iter().filter_map(|record| match &record.data {
                    RData::TXT(text) => Some(text.txt_data.concat()),
                    _ => None,
                });
                Ok(texts.collect())
            }
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(_) => Err(NoAnswer),
        }
    }
}

/// Checks the signatures of a mail for the domain it says it comes from.
pub async fn check(raw: &[u8], from: &str, names: &dyn Names) -> Authenticity {
    // Signed as it went over the wire; a Maildir keeps lines with LF alone.
    let raw = with_crlf(raw);
    match tokio::time::timeout(PATIENCE, checked(&raw, from, names)).await {
        Ok(found) => found,
        Err(_) => not_checked(from),
    }
}

fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(raw.len() + raw.len() / 32);
    for line in raw.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                lines.extend_from_slice(b"\r\n");
            }
            None => lines.extend_from_slice(line),
        }
    }
    lines
}

fn not_checked(from: &str) -> Authenticity {
    Authenticity::of(Means::Dkim, Checked::NotChecked, from)
}

async fn checked(raw: &[u8], from: &str, names: &dyn Names) -> Authenticity {
    let Some(message) = AuthenticatedMessage::parse(raw) else {
        return Authenticity::default();
    };
    let aligned: Vec<_> = message
        .dkim_headers
        .iter()
        .filter(|signature| is_aligned(&signature.header.d, from))
        .collect();
    // A signature of somebody else, such as a mailing list, says nothing of this domain.
    if aligned.is_empty() || message.dkim_headers.len() > MOST_SIGNATURES {
        return Authenticity::default();
    }
    let mut answers = Answers::default();
    for signature in &aligned {
        let signature = &signature.header;
        answers
            .ask_key(&format!("{}._domainkey.{}", signature.s, signature.d), names)
            .await;
    }
    // Never asked: `answers` has a word on every name.
    let Ok(judge) = MessageAuthenticator::new_system_conf().or_else(|_| MessageAuthenticator::new_cloudflare()) else {
        return not_checked(from);
    };
    let results = judge.verify_dkim(answers.for_question(&message)).await;
    let of_theirs = |output: &&DkimOutput<'_>| output.signature().is_some_and(|s| is_aligned(&s.d, from));
    let verdicts: Vec<&DkimResult> = results.iter().filter(of_theirs).map(DkimOutput::result).collect();
    if verdicts.contains(&&DkimResult::Pass) {
        let policies = Answers::of_policies(from, names).await;
        let spf = SpfOutput::default();
        let question = DmarcParameters {
            message: &message,
            dkim_output: &results,
            dkim2_output: None,
            rfc5321_mail_from_domain: "",
            spf_output: &spf,
        };
        let policy = judge.verify_dmarc(policies.for_question(question)).await;
        let means = match policy.dkim_result() {
            DmarcResult::Pass => Means::Dmarc,
            _ => Means::Dkim,
        };
        return Authenticity::of(means, Checked::Passed, from);
    }
    if verdicts
        .iter()
        .any(|verdict| matches!(verdict, DkimResult::TempError(_)))
    {
        return not_checked(from);
    }
    Authenticity::of(Means::Dkim, Checked::Failed, from)
}

/// What was asked and answered; stands where the library looks before it would ask itself, and knows every name.
#[derive(Default)]
struct Answers(HashMap<Box<str>, Txt>);

impl Answers {
    async fn ask_key(&mut self, name: &str, names: &dyn Names) {
        let answer = match names.texts(name).await {
            Ok(texts) => first_of::<DomainKey>(&texts),
            Err(NoAnswer) => Txt::Error(Error::Dns(DnsError::Resolver("no answer".to_owned()))),
        };
        self.0.insert(fqdn(name), answer);
    }

    /// The policies of a domain and its parents; one that cannot be asked for counts as none.
    async fn of_policies(domain: &str, names: &dyn Names) -> Self {
        let (mut answers, mut rest) = (Self::default(), domain);
        for _ in 0..MOST_PARENTS {
            let name = format!("_dmarc.{rest}");
            if let Ok(texts) = names.texts(&name).await {
                answers.0.insert(fqdn(&name), first_of::<Dmarc>(&texts));
            }
            match rest.split_once('.') {
                Some((_, parent)) if parent.contains('.') => rest = parent,
                _ => break,
            }
        }
        answers
    }

    fn for_question<'x, Q>(&'x self, question: Q) -> Question<'x, Q> {
        Parameters {
            params: question,
            cache_txt: Some(self),
            cache_mx: None,
            cache_ptr: None,
            cache_ipv4: Some(self),
            cache_ipv6: None,
        }
    }
}

type Question<'x, Q> = Parameters<
    'x,
    Q,
    Answers,
    NoCache<Box<str>, RecordSet<MX>>,
    Answers,
    NoCache<Box<str>, RecordSet<Ipv6Addr>>,
    NoCache<IpAddr, RecordSet<Box<str>>>,
>;

fn fqdn(name: &str) -> Box<str> {
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase()).into()
}

fn nothing_there() -> Error {
    Error::Dns(DnsError::InvalidRecordType)
}

/// The first record that can be read.
fn first_of<T: TxtRecordParser + Into<Txt>>(texts: &[Vec<u8>]) -> Txt {
    let mut read = texts.iter().filter_map(|text| T::parse(text).ok());
    read.next().map_or_else(|| Txt::Error(nothing_there()), Into::into)
}

impl ResolverCache<Box<str>, Txt> for Answers {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        let known = self.0.get(name).cloned();
        Some(known.unwrap_or_else(|| Txt::Error(nothing_there())))
    }
    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

/// Asked only whether a domain without a policy of its own exists: one that signs does.
impl ResolverCache<Box<str>, RecordSet<Ipv4Addr>> for Answers {
    fn get<Q>(&self, _: &Q) -> Option<RecordSet<Ipv4Addr>>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        Some(RecordSet {
            rrset: [Ipv4Addr::LOCALHOST].into(),
            dnssec_status: mail_auth::DnssecStatus::Indeterminate,
        })
    }
    fn remove<Q>(&self, _: &Q) -> Option<RecordSet<Ipv4Addr>>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: Box<str>, _: RecordSet<Ipv4Addr>, _: std::time::Instant) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use mail_auth::common::crypto::Ed25519Key;
    use mail_auth::common::headers::HeaderWriter;
    use mail_auth::dkim::DkimSigner;

    /// The name servers of a test.
    #[derive(Default)]
    struct Table {
        texts: HashMap<&'static str, String>,
        silent: bool,
    }
    #[async_trait]
    impl Names for Table {
        async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, NoAnswer> {
            if self.silent {
                return Err(NoAnswer);
            }
            Ok(self
                .texts
                .get(name)
                .map(|text| text.clone().into_bytes())
                .into_iter()
                .collect())
        }
    }

    const MAIL: &str = "From: CNPD <databreach@cnpd.lu>\r\nTo: breach@example.lu\r\nSubject: received\r\n\
                        Date: Sat, 21 Nov 2026 12:00:00 +0100\r\n\r\nWe have received your notification.\r\n";

    /// The mail signed by a domain, and the record of its key.
    fn signed(domain: &str) -> (String, String) {
        let pkcs8 = Ed25519Key::generate_pkcs8().unwrap();
        let key = Ed25519Key::from_pkcs8_der(&pkcs8).unwrap();
        let public = base64::engine::general_purpose::STANDARD.encode(key.public_key());
        let signature = DkimSigner::from_key(key)
            .domain(domain)
            .selector("s")
            .headers(["From", "To", "Subject"])
            .sign(MAIL.as_bytes())
            .unwrap();
        (
            format!("{}{MAIL}", signature.to_header()),
            format!("v=DKIM1; k=ed25519; p={public}"),
        )
    }

    #[tokio::test]
    async fn signatures_are_judged_by_the_keys_of_their_domain() {
        let (mail, key) = signed("cnpd.lu");
        let keys = |key: &str| HashMap::from([("s._domainkey.cnpd.lu", key.to_owned())]);
        let with_policy = |policy: &str| {
            let mut texts = keys(&key);
            texts.insert("_dmarc.cnpd.lu", policy.to_owned());
            texts
        };
        let (_, other_key) = signed("cnpd.lu");
        let (by_stranger, strangers_key) = signed("evil.example");
        for (name, mail, texts, by, result) in [
            ("signed", mail.clone(), keys(&key), Means::Dkim, Checked::Passed),
            (
                "kept with LF",
                mail.replace("\r\n", "\n"),
                keys(&key),
                Means::Dkim,
                Checked::Passed,
            ),
            (
                "under a policy",
                mail.clone(),
                with_policy("v=DMARC1; p=reject"),
                Means::Dmarc,
                Checked::Passed,
            ),
            (
                "changed on its way",
                mail.replace("have received", "never saw"),
                keys(&key),
                Means::Dkim,
                Checked::Failed,
            ),
            (
                "subject changed",
                mail.replace("Subject: received", "Subject: refused"),
                keys(&key),
                Means::Dkim,
                Checked::Failed,
            ),
            (
                "another key",
                mail.clone(),
                keys(&other_key),
                Means::Dkim,
                Checked::Failed,
            ),
            ("no key", mail.clone(), HashMap::new(), Means::Dkim, Checked::Failed),
            (
                "signed by a stranger",
                by_stranger,
                HashMap::from([("s._domainkey.evil.example", strangers_key)]),
                Means::None,
                Checked::Nothing,
            ),
            ("not signed", MAIL.to_owned(), keys(&key), Means::None, Checked::Nothing),
            ("no mail", String::new(), keys(&key), Means::None, Checked::Nothing),
        ] {
            let found = check(mail.as_bytes(), "cnpd.lu", &Table { texts, silent: false }).await;
            assert_eq!((found.by, found.result), (by, result), "{name}");
        }
        let silent = Table {
            silent: true,
            ..Table::default()
        };
        let found = check(mail.as_bytes(), "cnpd.lu", &silent).await;
        assert_eq!(
            found.result,
            Checked::NotChecked,
            "a name server that is down refutes nothing"
        );
    }
}
