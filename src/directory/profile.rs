//! One authority's profile: who it is, where it takes notices, which key it publishes, what its answer looks like.
//!
//! The keys are those of `authorities/README.md`. A profile states facts with their sources; it holds no certificate and
//! no pin (those are rows of the store), and knows nothing of files, mail or the clock.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::validate;

/// Whoever must be told, as `authorities/<id>.yaml` describes it. One that [`super::Directory`] hands out has passed
/// [`Profile::validate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The file's name without `.yaml`, such as `lu-cnpd`.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: AuthorityKind,
    /// Its names by two-letter language code; see [`Profile::name`].
    pub names: BTreeMap<String, String>,
    /// ISO 3166-1 code in capitals, or `EU` for the institutions of the Union.
    pub country: String,
    /// ISO 3166-2 code such as `DE-BY`, for an authority of a part of the country.
    #[serde(default)]
    pub region: Option<String>,
    /// IANA name; see [`Profile::timezone`].
    pub timezone: String,
    /// See [`Profile::calendar_name`].
    #[serde(default)]
    pub holidays: Option<String>,
    /// Languages in which it takes notices, most usual first.
    pub languages: Vec<String>,
    /// Where a notice can be handed over, or handing over begins; see [`Profile::ways`].
    pub channels: Vec<Channel>,
    /// Pages to read: they describe the duty, and file nothing.
    #[serde(default)]
    pub pages: Vec<Page>,
    /// The key it publishes; absent when none is known.
    #[serde(default)]
    pub openpgp: Option<PublishedKey>,
    #[serde(default)]
    pub seal: Seal,
    /// Why less than [`Seal::Required`] is in order: demanded with any other `seal`.
    #[serde(default)]
    pub seal_source: Option<String>,
    #[serde(default)]
    pub layout: Layout,
    #[serde(default)]
    pub acknowledgement: Acknowledgement,
    #[serde(default)]
    pub notice: NoticeWishes,
    /// What a person should know before filing.
    #[serde(default)]
    pub notes: Option<String>,
    /// Who last compared the profile with the authority's live pages; absent when nobody has.
    #[serde(default)]
    pub checked: Option<Checked>,
    /// True when the profile comes from the operator's own folder and not from this program.
    #[serde(skip_deserializing)]
    pub is_overlay: bool,
}

/// What an authority is in law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityKind {
    /// GDPR Art. 51, or its like elsewhere: the recipient of notices under Art. 33(1).
    Supervisory,
    /// An incident response team; no recipient under Art. 33.
    Csirt,
    /// The controller that a processor tells (Art. 33(2)).
    Controller,
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A page of the authority, of the EDPB or of the state.
    Confirmed,
    /// Somebody else.
    Secondary,
    /// General knowledge, with no page at hand.
    Recalled,
}
impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Confirmed => "confirmed",
            Confidence::Secondary => "secondary",
            Confidence::Recalled => "recalled",
        }
    }
}

/// One way to reach the authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub kind: ChannelKind,
    /// An address, number or URL; a portal without a web address is named.
    pub value: String,
    #[serde(rename = "for")]
    pub purpose: Purpose,
    /// When it is open, in words.
    #[serde(default)]
    pub hours: Option<String>,
    /// What it takes, and from whom, in words.
    #[serde(default)]
    pub accepts: Option<String>,
    pub source: String,
    pub confidence: Confidence,
}

/// The means of a [`Channel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Email,
    /// A service that wants a login.
    Portal,
    /// A form that anybody can fill in.
    Webform,
    Phone,
    Post,
}
impl ChannelKind {
    pub fn name(self) -> &'static str {
        match self {
            ChannelKind::Email => "email",
            ChannelKind::Portal => "portal",
            ChannelKind::Webform => "webform",
            ChannelKind::Phone => "phone",
            ChannelKind::Post => "post",
        }
    }
}

/// What a [`Channel`] is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Takes notices of breaches.
    Breach,
    /// To ask; never used for a notice.
    General,
}

/// A page to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub value: String,
    /// What stands there.
    pub about: String,
    pub source: String,
    pub confidence: Confidence,
}

/// What is known in public about the authority's OpenPGP key. Helps the person who verifies it, and pins nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedKey {
    #[serde(default)]
    pub url: Option<String>,
    /// What `url` leads to; stands exactly where `url` does.
    #[serde(default)]
    pub url_kind: Option<UrlKind>,
    /// As published, spaces included; see [`PublishedKey::fingerprint`].
    #[serde(default)]
    pub published_fingerprint: Option<String>,
    /// Last day on which the published key may be used, where the authority says so.
    #[serde(default)]
    pub expires: Option<NaiveDate>,
    /// Hosts to which `url` may send us on, beside its own.
    #[serde(default)]
    pub redirect_hosts: Vec<String>,
    #[serde(default)]
    pub accept_updates: Updates,
    pub source: String,
    pub confidence: Confidence,
}
impl PublishedKey {
    /// The published fingerprint in one piece and capitals, as OpenPGP libraries print it: 40 or 64 hex digits.
    pub fn fingerprint(&self) -> Option<String> {
        let published = self.published_fingerprint.as_deref()?;
        Some(
            published
                .chars()
                .filter(|c| *c != ' ')
                .collect::<String>()
                .to_ascii_uppercase(),
        )
    }
}

/// What becomes of a newer state of the pinned certificate that was fetched: a later expiry, other subkeys, all signed by
/// the same primary key. Its revocation counts at once under either rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Updates {
    /// Taken by itself where a person has verified the pin by telephone or from two sources; else it waits for one.
    #[default]
    Verified,
    /// Waits for a person, always.
    Never,
}

/// What the address of a published key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlKind {
    /// The key file itself.
    Key,
    /// A page that offers it.
    Page,
}

/// How mail to this authority must be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// Encrypted, or not at all.
    #[default]
    Required,
    /// Encrypted when a usable certificate is pinned; else signed clear text over enforced TLS, by a person's decision.
    WhenUsable,
    /// It cannot read encrypted mail: signed clear text over enforced TLS, by a person's decision.
    TlsOnly,
}

/// How the sealed parts are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One encrypted body (RFC 3156).
    #[default]
    PgpMime,
    /// A neutral cover text, and each file signed and encrypted on its own: for readers without a mail plug-in.
    EncryptedFiles,
}

/// What is known about the authority's confirmation of receipt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    #[serde(default)]
    pub expected: Expected,
    /// Within how many hours it usually comes.
    #[serde(default)]
    pub within_hours: Option<u32>,
    /// Addresses or domains it comes from; see [`Profile::ack_senders`].
    #[serde(default)]
    pub senders: Vec<String>,
    /// Texts found in its subject, in any case.
    #[serde(default)]
    pub subject: Vec<String>,
    /// A regular expression whose one group is the authority's file number; see [`Acknowledgement::pattern`].
    #[serde(default)]
    pub reference: Option<String>,
    /// Stands wherever something else of this block does.
    #[serde(default)]
    pub source: Option<String>,
    /// Stands wherever `source` does.
    #[serde(default)]
    pub confidence: Option<Confidence>,
}
impl Acknowledgement {
    /// The compiled `reference`; its group 1 is the file number.
    pub fn pattern(&self) -> Option<Regex> {
        self.reference
            .as_deref()
            .and_then(|pattern| validate::reference_pattern(pattern).ok())
    }
}

/// Whether the authority confirms receipt by a message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    Yes,
    /// Its silence means nothing.
    No,
    #[default]
    Unknown,
}

/// What this authority wants other than usual in a notice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeWishes {
    /// Two-letter code; without it the first of the profile's languages that we have.
    #[serde(default)]
    pub language: Option<String>,
    /// Most bytes that its mail server takes, counted on the sealed mail.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// Name of a template that replaces the usual one.
    #[serde(default)]
    pub template: Option<String>,
}

/// Who compared the profile with the live pages, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    pub by: String,
    pub on: NaiveDate,
}

impl Profile {
    /// Its name in the wanted language, else in English, else in the first of its own languages that has one.
    pub fn name(&self, language: &str) -> &str {
        [language, "en"]
            .into_iter()
            .chain(self.languages.iter().map(String::as_str))
            .find_map(|wanted| self.names.get(wanted))
            .or_else(|| self.names.values().next())
            .map_or(self.id.as_str(), String::as_str)
    }

    /// The address for notices: the first e-mail channel for breaches. An address for general mail is never one, nor is
    /// one that is merely recalled.
    pub fn breach_email(&self) -> Option<&Channel> {
        self.channels.iter().find(|c| {
            c.kind == ChannelKind::Email && c.purpose == Purpose::Breach && c.confidence != Confidence::Recalled
        })
    }

    /// Where a person files in the browser: the portal for breaches, else the web form.
    pub fn portal(&self) -> Option<&Channel> {
        let online = [ChannelKind::Portal, ChannelKind::Webform];
        online.into_iter().find_map(|kind| self.first(kind, Purpose::Breach))
    }

    /// The number to ring: for breaches, else the general one.
    pub fn phone(&self) -> Option<&Channel> {
        let purposes = [Purpose::Breach, Purpose::General];
        purposes
            .into_iter()
            .find_map(|purpose| self.first(ChannelKind::Phone, purpose))
    }

    fn first(&self, kind: ChannelKind, purpose: Purpose) -> Option<&Channel> {
        self.channels.iter().find(|c| c.kind == kind && c.purpose == purpose)
    }

    /// All channels in the order in which a person should try them: those for breaches (e-mail, portal, web form,
    /// telephone, post; the merely recalled ones after the others), then those that only answer questions (telephone first,
    /// e-mail last, lest it be used to notify).
    pub fn ways(&self) -> Vec<&Channel> {
        let mut ways: Vec<&Channel> = self.channels.iter().collect();
        ways.sort_by_key(|c| {
            let rank = match (c.kind, c.purpose) {
                (ChannelKind::Email, Purpose::Breach) => 0,
                (ChannelKind::Portal, Purpose::Breach) => 1,
                (ChannelKind::Webform, Purpose::Breach) => 2,
                (ChannelKind::Phone, _) => 3,
                (ChannelKind::Post, _) => 4,
                (ChannelKind::Portal | ChannelKind::Webform, Purpose::General) => 5,
                (ChannelKind::Email, Purpose::General) => 6,
            };
            (c.purpose, c.confidence == Confidence::Recalled, rank)
        });
        ways
    }

    /// Addresses or domains from which an acknowledgement may come: the profile's own, else the domain of
    /// [`Profile::breach_email`], else that of an address for breaches which is merely recalled: good enough to know an
    /// answer by. Empty when nothing is known.
    pub fn ack_senders(&self) -> Vec<&str> {
        if !self.acknowledgement.senders.is_empty() {
            return self.acknowledgement.senders.iter().map(String::as_str).collect();
        }
        let recalled = |c: &&Channel| c.kind == ChannelKind::Email && c.purpose == Purpose::Breach;
        let known = self.breach_email().or_else(|| self.channels.iter().find(recalled));
        let domain = known.and_then(|c| validate::split_address(&c.value));
        domain.map(|(_, domain)| domain).into_iter().collect()
    }

    /// Whether a bare address (`name@domain`, no display name) is one of [`Profile::ack_senders`]: the very address, or
    /// one at the domain or below it, in any case. It is a filter and no proof: anybody can write any From.
    pub fn sender_matches(&self, address: &str) -> bool {
        let Some((local, domain)) = validate::split_address(address) else {
            return false;
        };
        self.ack_senders()
            .into_iter()
            .any(|known| match validate::split_address(known) {
                Some((l, d)) => l.eq_ignore_ascii_case(local) && d.eq_ignore_ascii_case(domain),
                None => is_same_or_below(domain, known),
            })
    }

    /// The name of its calendar of public holidays; `None` when there is none.
    pub fn calendar_name(&self) -> Option<&str> {
        self.holidays.as_deref()
    }

    /// Its time zone.
    pub fn timezone(&self) -> Tz {
        self.timezone
            .parse()
            .expect("profiles are validated when they are read")
    }
}

/// Whether `domain` is `parent` or one of its subdomains; `evilcnpd.lu` is neither for `cnpd.lu`.
pub(super) fn is_same_or_below(domain: &str, parent: &str) -> bool {
    let (domain, parent) = (domain.as_bytes(), parent.as_bytes());
    let Some(at) = domain.len().checked_sub(parent.len()) else {
        return false;
    };
    !parent.is_empty() && domain[at..].eq_ignore_ascii_case(parent) && (at == 0 || domain[at - 1] == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: &str = "
id: xx-test
type: supervisory
names: { de: Amt, fr: Bureau }
country: XX
timezone: Europe/Luxembourg
languages: [fr, de]
channels:
  - { kind: email, value: ask@cnpd.lu, for: general, source: s, confidence: confirmed }
  - { kind: phone, value: '+352 1', for: general, source: s, confidence: confirmed }
  - { kind: webform, value: 'https://cnpd.lu/form', for: breach, source: s, confidence: secondary }
  - { kind: email, value: old@cnpd.lu, for: breach, source: s, confidence: recalled }
  - { kind: portal, value: e-Box, for: breach, source: s, confidence: secondary }
  - { kind: email, value: breach@cnpd.lu, for: breach, source: s, confidence: confirmed }
  - { kind: phone, value: '+352 2', for: breach, source: s, confidence: confirmed }
";
    fn small() -> Profile {
        let profile: Profile = crate::reading::yaml("test.yaml", SMALL.as_bytes()).unwrap();
        profile.validate().unwrap();
        profile
    }

    #[test]
    fn defaults_are_the_strict_ones() {
        let p = small();
        assert_eq!((p.seal, p.layout), (Seal::Required, Layout::PgpMime));
        assert_eq!(p.acknowledgement.expected, Expected::Unknown);
        assert!(p.checked.is_none() && !p.is_overlay);
        assert_eq!(p.timezone(), chrono_tz::Europe::Luxembourg);
        assert_eq!(p.calendar_name(), None);
    }

    #[test]
    fn names_fall_back() {
        let mut p = small();
        assert_eq!((p.name("de"), p.name("pt")), ("Amt", "Bureau"));
        p.names.insert("en".into(), "Office".into());
        assert_eq!(p.name("pt"), "Office");
    }

    #[test]
    fn a_notice_never_goes_to_a_general_or_recalled_address() {
        let mut p = small();
        assert_eq!(p.breach_email().unwrap().value, "breach@cnpd.lu");
        p.channels.retain(|c| c.value != "breach@cnpd.lu");
        assert_eq!(p.breach_email(), None);
        // An answer may be known by the recalled one.
        assert_eq!(p.ack_senders(), ["cnpd.lu"]);
        p.channels.retain(|c| c.purpose == Purpose::General);
        assert!(p.ack_senders().is_empty());
    }

    #[test]
    fn ways_begin_with_what_takes_notices() {
        let p = small();
        assert_eq!(p.portal().unwrap().value, "e-Box");
        assert_eq!(p.phone().unwrap().value, "+352 2");
        let order: Vec<&str> = p.ways().iter().map(|c| c.value.as_str()).collect();
        let wanted = [
            "breach@cnpd.lu",
            "e-Box",
            "https://cnpd.lu/form",
            "+352 2",
            "old@cnpd.lu",
            "+352 1",
            "ask@cnpd.lu",
        ];
        assert_eq!(order, wanted);
    }

    #[test]
    fn senders() {
        let mut p = small();
        assert_eq!(p.ack_senders(), ["cnpd.lu"]);
        let table = [
            ("databreach@cnpd.lu", true),
            ("No-Reply@MAIL.CNPD.LU", true),
            ("x@evilcnpd.lu", false),
            ("x@cnpd.lu.evil.example", false),
            ("x@cnpd.lu.", false),
            ("x@.cnpd.lu", false),
            ("cnpd.lu", false),
            ("@cnpd.lu", false),
            ("x@evil.example@cnpd.lu", false),
            ("x@evil.example, y@cnpd.lu", false),
            ("\"x@evil.example\"@cnpd.lu", false),
            ("CNPD <x@cnpd.lu>", false),
            ("x@cnpd.lu\r\n", false),
            ("", false),
        ];
        for (address, wanted) in table {
            assert_eq!(p.sender_matches(address), wanted, "{address:?}");
        }
        p.acknowledgement.senders = vec!["receipts@gov.lu".into()];
        assert!(p.sender_matches("Receipts@Gov.lu"));
        assert!(!p.sender_matches("receipts@mail.gov.lu") && !p.sender_matches("other@gov.lu"));
        assert!(
            !p.sender_matches("databreach@cnpd.lu"),
            "own senders replace the default"
        );
    }

    proptest! {
        #[test]
        fn only_the_domain_and_what_is_below_it_match(local in "[a-z0-9]{1,8}", label in "[a-z0-9]{1,8}") {
            let p = small();
            for (domain, wanted) in [
                ("cnpd.lu".to_owned(), true),
                (format!("{label}.cnpd.lu"), true),
                (format!("{label}cnpd.lu"), false),
                (format!("{label}-cnpd.lu"), false),
                (format!("cnpd.lu.{label}"), false),
                (format!("cnpd.{label}.lu"), false),
            ] {
                prop_assert_eq!(p.sender_matches(&format!("{local}@{domain}")), wanted, "{}", domain);
                prop_assert_eq!(p.sender_matches(&format!("{local}@{domain}").to_uppercase()), wanted);
            }
        }

        #[test]
        fn no_input_makes_it_fail(address in "\\PC*") {
            let known = small().sender_matches(&address);
            prop_assert!(!known || address.to_lowercase().ends_with("cnpd.lu"));
        }
    }

    #[test]
    fn norway_and_yes_and_no_are_words() {
        let text = SMALL.replace(
            "languages: [fr, de]",
            "languages: [no]\nacknowledgement: { expected: no }",
        );
        let text = text.replace("country: XX", "country: NO").replace("xx-test", "no-test");
        let p: Profile = crate::reading::yaml("test.yaml", text.as_bytes()).unwrap();
        assert_eq!((p.country.as_str(), p.languages[0].as_str()), ("NO", "no"));
        assert_eq!(p.acknowledgement.expected, Expected::No);
    }

    #[test]
    fn a_file_cannot_call_itself_an_overlay() {
        let text = format!("{SMALL}is_overlay: true\n");
        let error = crate::reading::yaml::<Profile>("test.yaml", text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("is_overlay"), "{error}");
    }
}
