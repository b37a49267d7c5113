//! What a profile must fulfil beyond its types. A [`Problem`] makes it unusable; what a person should still look into is
//! `findings`. No files, no clock.

use chrono_tz::Tz;
use regex::{Regex, RegexBuilder};

use super::profile::{Acknowledgement, AuthorityKind, Channel, ChannelKind, Profile, Seal};
use crate::model::holidays::Calendar;

/// Something in a profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `channels[2].value`.
    pub path: String,
    /// What is wrong, and what it should be.
    pub text: String,
}
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// A longer pattern than any file number needs.
const MAX_PATTERN_CHARS: usize = 300;
/// Memory for one compiled pattern: room for a few Unicode classes, none for nested repetitions.
const MAX_PATTERN_BYTES: usize = 256 * 1024;
/// Longest one-line text (a source with two long addresses has some 400).
const MAX_LINE_CHARS: usize = 1_000;
/// Longest `notes`.
const MAX_NOTES_CHARS: usize = 10_000;
/// Thirty days: later than that, no answer is an acknowledgement.
const MAX_WITHIN_HOURS: u32 = 720;
/// Smaller than a sealed notice without attachments, and larger than any mail server takes.
const MAX_BYTES_RANGE: std::ops::RangeInclusive<u64> = 50_000..=100_000_000;

impl Profile {
    /// Checks everything that the types do not say.
    ///
    /// # Errors
    /// All problems, in the order of the keys.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut check = Check::default();
        check.identity(self);
        check.channels(self);
        check.key(self);
        check.acknowledgement(self);
        check.rest(self);
        if check.problems.is_empty() {
            Ok(())
        } else {
            Err(check.problems)
        }
    }
}

#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}
impl Check {
    fn problem(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.problems.push(Problem {
            path: path.into(),
            text: text.into(),
        });
    }
    fn that(&mut self, holds: bool, path: &str, text: &str) {
        if !holds {
            self.problem(path, text);
        }
    }

    fn identity(&mut self, p: &Profile) {
        self.that(
            is_id(&p.id),
            "id",
            "must be lower-case letters and digits in parts joined by hyphens, such as `lu-cnpd`",
        );
        self.that(
            is_country(&p.country),
            "country",
            "must be a two-letter code in capitals, such as `LU`",
        );
        let country_first =
            p.id.split_once('-')
                .is_some_and(|(head, _)| head.eq_ignore_ascii_case(&p.country));
        self.that(
            p.kind == AuthorityKind::Controller || country_first,
            "id",
            "must begin with the country, such as `lu-` for LU",
        );
        if let Some(region) = &p.region {
            let sound = is_region(region) && region.starts_with(&p.country);
            self.that(
                sound,
                "region",
                "must be the country's code, a hyphen and up to three capitals, such as `DE-BY`",
            );
        }
        self.that(
            !p.names.is_empty(),
            "names",
            "must hold at least one name, such as `en: …`",
        );
        for (language, name) in &p.names {
            let path = format!("names.{language}");
            self.language(&path, language);
            self.line(&path, name);
        }
        self.that(
            p.timezone.parse::<Tz>().is_ok(),
            "timezone",
            "is not a known time zone; write an IANA name such as `Europe/Luxembourg`",
        );
        if let Some(holidays) = &p.holidays {
            self.that(
                Calendar::named(holidays).is_some(),
                "holidays",
                "is not a calendar we have; leave it out, and no working days are counted",
            );
        }
        self.that(!p.languages.is_empty(), "languages", "must name at least one language");
        for (i, language) in p.languages.iter().enumerate() {
            let path = format!("languages[{i}]");
            self.language(&path, language);
            self.that(!p.languages[..i].contains(language), &path, "is named twice");
        }
    }

    fn channels(&mut self, p: &Profile) {
        for (i, channel) in p.channels.iter().enumerate() {
            let path = format!("channels[{i}]");
            let value = format!("{path}.value");
            self.line(&value, &channel.value);
            match channel.kind {
                ChannelKind::Email => self.that(
                    split_address(&channel.value).is_some(),
                    &value,
                    "must be one bare e-mail address, such as `breach@example.eu`",
                ),
                ChannelKind::Webform => self.url(&value, &channel.value),
                // Some portals are a name in a state's own network (`e-Papír`) and have no address on the web.
                ChannelKind::Portal if channel.value.contains("://") => self.url(&value, &channel.value),
                ChannelKind::Phone => self.that(
                    is_phone(&channel.value),
                    &value,
                    "must be a telephone number of digits and spaces, such as `+352 26 10 60 1`; say the rest in `accepts`",
                ),
                ChannelKind::Portal | ChannelKind::Post => {}
            }
            let same = |c: &Channel| (c.kind, c.purpose, &c.value) == (channel.kind, channel.purpose, &channel.value);
            self.that(
                !p.channels[..i].iter().any(same),
                &value,
                "is listed twice for the same purpose",
            );
            for (key, text) in [("hours", &channel.hours), ("accepts", &channel.accepts)] {
                if let Some(text) = text {
                    self.line(&format!("{path}.{key}"), text);
                }
            }
            self.line(&format!("{path}.source"), &channel.source);
        }
        for (i, page) in p.pages.iter().enumerate() {
            self.url(&format!("pages[{i}].value"), &page.value);
            self.line(&format!("pages[{i}].about"), &page.about);
            self.line(&format!("pages[{i}].source"), &page.source);
        }
    }

    fn key(&mut self, p: &Profile) {
        let Some(key) = &p.openpgp else { return };
        self.that(
            key.url.is_some() || key.published_fingerprint.is_some(),
            "openpgp",
            "must have a `url` or a `published_fingerprint`; leave it out when neither is known",
        );
        self.that(
            key.url.is_some() == key.url_kind.is_some(),
            "openpgp.url_kind",
            "belongs to `url`: `key` when it is the key file, `page` when it is a page that offers it",
        );
        if let Some(url) = &key.url {
            self.url("openpgp.url", url);
        }
        for (i, host) in key.redirect_hosts.iter().enumerate() {
            self.that(
                is_domain(host),
                &format!("openpgp.redirect_hosts[{i}]"),
                "must be the name of a host, such as `www.cnpd.lu`",
            );
        }
        if let Some(fingerprint) = key.fingerprint() {
            let sound = matches!(fingerprint.len(), 40 | 64) && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
            self.that(
                sound,
                "openpgp.published_fingerprint",
                "must be 40 or 64 hex digits; spaces are allowed",
            );
        }
        self.line("openpgp.source", &key.source);
    }

    fn acknowledgement(&mut self, p: &Profile) {
        let ack = &p.acknowledgement;
        if let Some(hours) = ack.within_hours {
            self.that(
                (1..=MAX_WITHIN_HOURS).contains(&hours),
                "acknowledgement.within_hours",
                &format!("must be from 1 to {MAX_WITHIN_HOURS}"),
            );
        }
        for (i, sender) in ack.senders.iter().enumerate() {
            self.that(
                split_address(sender).is_some() || is_domain(sender),
                &format!("acknowledgement.senders[{i}]"),
                "must be a bare e-mail address or a domain, such as `cnpd.lu`",
            );
        }
        for (i, text) in ack.subject.iter().enumerate() {
            self.line(&format!("acknowledgement.subject[{i}]"), text);
        }
        if let Some(Err(text)) = ack.reference.as_deref().map(reference_pattern) {
            self.problem("acknowledgement.reference", text);
        }
        let bare = Acknowledgement {
            source: ack.source.clone(),
            confidence: ack.confidence,
            ..Default::default()
        };
        self.that(
            *ack == bare || (ack.source.is_some() && ack.confidence.is_some()),
            "acknowledgement",
            "must name its `source` and `confidence`",
        );
        if let Some(source) = &ack.source {
            self.line("acknowledgement.source", source);
        }
    }

    fn rest(&mut self, p: &Profile) {
        match &p.seal_source {
            Some(source) => self.line("seal_source", source),
            None => self.that(
                p.seal == Seal::Required,
                "seal",
                "less than `required` needs a `seal_source`: who says that the authority wants or must have it so",
            ),
        }
        if let Some(language) = &p.notice.language {
            self.language("notice.language", language);
        }
        if let Some(bytes) = p.notice.max_bytes {
            let (least, most) = (MAX_BYTES_RANGE.start(), MAX_BYTES_RANGE.end());
            let text = format!("must be from {least} to {most}");
            self.that(MAX_BYTES_RANGE.contains(&bytes), "notice.max_bytes", &text);
        }
        if let Some(template) = &p.notice.template {
            let sound = (1..=60).contains(&template.len())
                && template
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b));
            self.that(
                sound,
                "notice.template",
                "must be a template's name: lower-case letters, digits, `-` and `_`",
            );
        }
        if let Some(notes) = &p.notes {
            let sound = notes.chars().count() <= MAX_NOTES_CHARS
                && !notes.chars().any(|c| c.is_control() && c != '\n')
                && !notes.trim().is_empty();
            self.that(
                sound,
                "notes",
                &format!("must be text of at most {MAX_NOTES_CHARS} characters, or left out"),
            );
        }
        if let Some(checked) = &p.checked {
            self.line("checked.by", &checked.by);
        }
    }

    fn line(&mut self, path: &str, text: &str) {
        let sound =
            !text.trim().is_empty() && text.chars().count() <= MAX_LINE_CHARS && !text.chars().any(char::is_control);
        self.that(
            sound,
            path,
            &format!("must be one line of text, at most {MAX_LINE_CHARS} characters, or left out"),
        );
    }
    fn language(&mut self, path: &str, code: &str) {
        let sound = code.len() == 2 && code.bytes().all(|b| b.is_ascii_lowercase());
        self.that(
            sound,
            path,
            "must be a two-letter language code in lower case, such as `fr`",
        );
    }
    fn url(&mut self, path: &str, url: &str) {
        let host = url
            .strip_prefix("https://")
            .and_then(|rest| rest.split(['/', '?', '#']).next());
        let sound = host.is_some_and(is_domain) && !url.chars().any(|c| c.is_control() || c.is_whitespace());
        self.that(sound, path, "must be a web address that begins with https://");
    }
}

/// Compiles the pattern of a file number: of bounded size, with exactly one group, and matching something.
pub(super) fn reference_pattern(pattern: &str) -> Result<Regex, String> {
    if pattern.chars().count() > MAX_PATTERN_CHARS {
        return Err(format!("must have at most {MAX_PATTERN_CHARS} characters"));
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(|e| match e {
            regex::Error::CompiledTooBig(_) => "is too large once compiled; repeat less".to_owned(),
            // The library's message spans several lines; its last one says what is wrong.
            e => {
                let message = e.to_string();
                let last = message.lines().last().unwrap_or_default();
                format!("is not a regular expression: {}", last.trim_start_matches("error: "))
            }
        })?;
    match regex.captures_len() - 1 {
        1 if regex.is_match("") => Err("must not match the empty text".to_owned()),
        1 => Ok(regex),
        n => Err(format!(
            "must have exactly one group, the file number; it has {n}; write `(?:…)` for the others"
        )),
    }
}

/// Takes a bare address apart: local part and domain. Quoted local parts, comments and display names are refused: no
/// authority uses them, and they are how a list of addresses passes for one.
pub(super) fn split_address(address: &str) -> Option<(&str, &str)> {
    let (local, domain) = address.split_once('@')?;
    // RFC 5322 §3.2.3: dot-atom; RFC 5321 §4.5.3.1.1: at most 64 octets.
    let atom = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    (local.len() <= 64 && local.split('.').all(atom) && is_domain(domain)).then_some((local, domain))
}

/// Two or more labels of letters, digits and inner hyphens (RFC 1123 §2.1); international names in their ASCII form.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label)
}

/// The shape of an id: the one list of characters that may become a file's name.
pub(super) fn is_id(id: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    id.len() <= 40 && id.contains('-') && id.split('-').all(part)
}

fn is_phone(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or(number);
    digits.bytes().all(|b| b.is_ascii_digit() || b == b' ') && digits.bytes().any(|b| b.is_ascii_digit())
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())
}

fn is_region(code: &str) -> bool {
    let part = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    code.split_once('-')
        .is_some_and(|(country, rest)| is_country(country) && part(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::samples::{SOUND, read};

    #[test]
    fn each_broken_rule_is_named_where_it_is() {
        assert_eq!(read(SOUND).validate(), Ok(()));
        let table = [
            ("id: xx-test", "id: XX-Test", "id"),
            ("id: xx-test", "id: lu-test", "id"),
            ("{ en: Office }", "{}", "names"),
            ("{ en: Office }", "{ eng: Office }", "names.eng"),
            ("{ en: Office }", "{ en: \"Off\\nice\" }", "names.en"),
            ("country: XX", "country: Luxembourg", "country"),
            ("country: XX", "country: XX\nregion: DE-BY", "region"),
            ("Europe/Luxembourg", "Europe/Luxemburg", "timezone"),
            ("[en]", "[]", "languages"),
            ("[en]", "[en, en]", "languages[1]"),
            ("[en]", "[english]", "languages[0]"),
            ("breach@office.example", "breach@office", "channels[0].value"),
            (
                "breach@office.example",
                "'a@office.example, b@office.example'",
                "channels[0].value",
            ),
            (
                "breach@office.example",
                "\"breach@office.example\\r\\nBcc: x@y.example\"",
                "channels[0].value",
            ),
            ("source: s", "source: ' '", "channels[0].source"),
            ("+352 1", "call us", "channels[1].value"),
            ("kind: phone", "kind: webform", "channels[1].value"),
            ("https://office", "http://office", "openpgp.url"),
            (
                "https://office.example/key",
                "https://office.example@evil/key",
                "openpgp.url",
            ),
            ("url_kind: page, ", "", "openpgp.url_kind"),
            (
                "url_kind: page,",
                "url_kind: page, redirect_hosts: ['https://www.office.example'],",
                "openpgp.redirect_hosts[0]",
            ),
            ("url: https://office.example/key, url_kind: page, ", "", "openpgp"),
            (
                "url_kind: page,",
                "url_kind: page, published_fingerprint: ABCD 1234,",
                "openpgp.published_fingerprint",
            ),
            ("checked:", "seal: tls_only\nchecked:", "seal"),
            ("checked:", "holidays: XX\nchecked:", "holidays"),
            ("checked:", "notice: { language: french }\nchecked:", "notice.language"),
            ("checked:", "notice: { max_bytes: 10 }\nchecked:", "notice.max_bytes"),
            (
                "checked:",
                "notice: { template: ../../etc/passwd }\nchecked:",
                "notice.template",
            ),
            ("by: Anna", "by: ''", "checked.by"),
        ];
        for (from, to, path) in table {
            let text = SOUND.replacen(from, to, 1);
            assert_ne!(text, SOUND, "{from}");
            let problems = read(&text).validate().unwrap_err();
            assert!(problems.iter().any(|p| p.path == path), "{to}: {problems:?}");
        }
    }

    #[test]
    fn acknowledgements() {
        let table = [
            ("{ expected: yes, source: s, confidence: confirmed }", None),
            ("{ expected: yes }", Some("acknowledgement")),
            ("{ expected: no, source: s }", Some("acknowledgement")),
            ("{ within_hours: 1, source: s, confidence: confirmed }", None),
            (
                "{ within_hours: 0, source: s, confidence: confirmed }",
                Some("acknowledgement.within_hours"),
            ),
            (
                "{ within_hours: 721, source: s, confidence: confirmed }",
                Some("acknowledgement.within_hours"),
            ),
            (
                "{ senders: [a.example, b@a.example], source: s, confidence: confirmed }",
                None,
            ),
            (
                "{ senders: ['@a.example'], source: s, confidence: confirmed }",
                Some("acknowledgement.senders[0]"),
            ),
            (
                "{ senders: [lu], source: s, confidence: confirmed }",
                Some("acknowledgement.senders[0]"),
            ),
            (
                "{ subject: [''], source: s, confidence: confirmed }",
                Some("acknowledgement.subject[0]"),
            ),
            (
                "{ reference: 'AZ (', source: s, confidence: confirmed }",
                Some("acknowledgement.reference"),
            ),
        ];
        for (block, path) in table {
            let found = read(&format!("{SOUND}acknowledgement: {block}\n")).validate().err();
            let found = found.map(|problems| problems[0].path.clone());
            assert_eq!(found.as_deref(), path, "{block}");
        }
    }

    #[test]
    fn patterns_of_file_numbers() {
        let malta = reference_pattern(r"\b(CDP/DBN/[0-9]+/[0-9]{4})\b").unwrap();
        let found = malta.captures("Your reference: CDP/DBN/71/2026.").unwrap();
        assert_eq!(&found[1], "CDP/DBN/71/2026");
        for (pattern, word) in [
            ("[0-9]+", "exactly one group"),
            ("(a)(b)", "exactly one group"),
            ("(a*)", "empty"),
            ("(", "not a regular expression"),
            (r"((?:\w{100}){100})", "too large"),
            (&"a".repeat(MAX_PATTERN_CHARS + 1), "at most"),
        ] {
            let error = reference_pattern(pattern).unwrap_err();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
    }
}
