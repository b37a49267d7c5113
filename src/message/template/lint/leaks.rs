//! Values that a message must never repeat: bank accounts, cards and national identification numbers, known by their check
//! digits so that telephone numbers and dates are not taken for them. Knows nothing of wording.

use std::sync::LazyLock;

use regex::Regex;

use super::super::{Rendered, Severity};
use super::{Report, line_of};
use crate::message::facts::PersonFacts;

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Iban,
    Card,
    /// National number of Luxembourg, 13 digits.
    Luxembourg,
    /// French numéro de sécurité sociale, 15 symbols.
    France,
    /// German Steuer-Identifikationsnummer, 11 digits.
    Germany,
    /// Belgian national register number, 11 digits.
    Belgium,
    /// Dutch burgerservicenummer, 9 digits.
    Netherlands,
    /// Portuguese citizen card, 12 symbols.
    PortugalCard,
    /// Portuguese tax number, 9 digits.
    PortugalTax,
}
impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Iban => "a bank account number (IBAN)",
            Kind::Card => "a payment card number",
            Kind::Luxembourg => "a national number of Luxembourg",
            Kind::France => "a French social security number",
            Kind::Germany => "a German tax number",
            Kind::Belgium => "a Belgian national register number",
            Kind::Netherlands => "a Dutch citizen service number",
            Kind::PortugalCard => "a Portuguese citizen card number",
            Kind::PortugalTax => "a Portuguese tax number",
        }
    }

    /// One in eleven numbers of nine digits passes these checks by chance: a person should look, no more.
    fn severity(self) -> Severity {
        match self {
            Kind::Netherlands | Kind::PortugalTax => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// Finds them in subject and text, besides the organisation's own numbers, which are meant to stand there.
pub(super) fn check(report: &mut Report<'_>, said: &Rendered, facts: &PersonFacts) {
    for (text, in_subject) in [(&said.subject, true), (&said.text, false)] {
        let text = without_own(text, facts);
        for (at, kind) in find(&text) {
            let line = if in_subject { 0 } else { line_of(&text, at) };
            let problem = format!("holds {}", kind.name());
            let remedy = "never repeat what leaked; name the kind of data only";
            report.add(kind.severity(), "leak", line, problem, remedy);
        }
    }
}

/// The text with the organisation's numbers blanked, at the same places.
fn without_own(text: &str, facts: &PersonFacts) -> String {
    let (contact, controller) = (&facts.contact, &facts.controller);
    let own = [
        &contact.phone,
        &contact.postal,
        &controller.phone,
        &controller.registration,
        &controller.address,
    ];
    let own = own
        .into_iter()
        .flatten()
        .map(String::as_str)
        .chain([facts.reference.as_str()]);
    own.filter(|own| !own.is_empty()).fold(text.to_owned(), |text, own| {
        text.replace(own, &"\u{0}".repeat(own.len()))
    })
}

/// Where such numbers begin, each told once.
fn find(text: &str) -> Vec<(usize, Kind)> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        // Groups of letters and digits with single separators between them, as people write long numbers.
        Regex::new(r"[A-Za-z0-9]+(?:[ .\-\u{a0}/][A-Za-z0-9]+)*").expect("a constant pattern")
    });
    let mut found = Vec::new();
    for run in NUMBER.find_iter(text) {
        let mut is_telephone = text[..run.start()].ends_with('+');
        let groups = groups(run.as_str());
        let mut first = 0;
        while first < groups.len() {
            is_telephone &= groups[first].1.bytes().all(|b| b.is_ascii_digit());
            match longest(&groups[first..]).filter(|_| !is_telephone) {
                Some((taken, kind)) => {
                    found.push((run.start() + groups[first].0, kind));
                    first += taken;
                }
                None => first += 1,
            }
        }
    }
    found
}

/// The groups of a run, with their places.
fn groups(run: &str) -> Vec<(usize, &str)> {
    let is_symbol = |c: char| c.is_ascii_alphanumeric();
    let groups = run.split(|c| !is_symbol(c)).filter(|group| !group.is_empty());
    groups
        .map(|group| (group.as_ptr().addr() - run.as_ptr().addr(), group))
        .collect()
}

/// The longest number that starts with the first group, and of how many groups it is.
fn longest(groups: &[(usize, &str)]) -> Option<(usize, Kind)> {
    /// The longest IBAN.
    const MOST_SYMBOLS: usize = 34;
    let mut candidates = Vec::new();
    let mut joined = String::new();
    for (i, (_, group)) in groups.iter().enumerate() {
        joined.push_str(&group.to_ascii_uppercase());
        if joined.len() > MOST_SYMBOLS {
            break;
        }
        candidates.extend(kind(&joined).map(|kind| (i + 1, kind)));
    }
    candidates.pop()
}

fn kind(number: &str) -> Option<Kind> {
    type Check = fn(&str) -> bool;
    let kinds: [(Kind, Check); 9] = [
        (Kind::Iban, is_iban),
        (Kind::Luxembourg, is_luxembourg),
        (Kind::Card, is_card),
        (Kind::France, is_france),
        (Kind::Belgium, is_belgium),
        (Kind::Germany, is_germany),
        (Kind::PortugalCard, is_portugal_card),
        (Kind::PortugalTax, is_portugal_tax),
        (Kind::Netherlands, is_netherlands),
    ];
    kinds.into_iter().find(|(_, is)| is(number)).map(|(kind, _)| kind)
}

/// The digits of a number that is nothing but `count` digits.
fn digits<const N: usize>(number: &str) -> Option<[u32; N]> {
    let digits: Option<Vec<u32>> = number.chars().map(|c| c.to_digit(10)).collect();
    digits?.try_into().ok()
}

/// ISO 13616: country, two check digits, the account; the whole modulo 97 is 1.
fn is_iban(number: &str) -> bool {
    let bytes = number.as_bytes();
    if !(15..=34).contains(&bytes.len())
        || !bytes[..2].iter().all(u8::is_ascii_alphabetic)
        || !bytes[2..4].iter().all(u8::is_ascii_digit)
        || !bytes[4..].iter().any(u8::is_ascii_digit)
    {
        return false;
    }
    let turned = number[4..].chars().chain(number[..4].chars());
    let values = turned.filter_map(|c| c.to_digit(36));
    let rest = values.fold(0, |rest, value| match value {
        0..=9 => (rest * 10 + value) % 97,
        _ => (rest * 100 + value) % 97,
    });
    rest == 1
}

/// ISO/IEC 7812: Luhn's sum.
fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_card(number: &str) -> bool {
    let digits: Option<Vec<u32>> = number.chars().map(|c| c.to_digit(10)).collect();
    digits.is_some_and(|digits| (14..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]) && luhn(&digits))
}

/// A birth date of eight digits, three more, then Luhn's digit over these eleven, and one by Verhoeff's method.
fn is_luxembourg(number: &str) -> bool {
    let Some(digits) = digits::<13>(number) else {
        return false;
    };
    let year = digits[0] * 10 + digits[1];
    let (month, day) = (digits[4] * 10 + digits[5], digits[6] * 10 + digits[7]);
    (18..=20).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day) && luhn(&digits[..12])
}

/// Sex, year, month, place of birth, order, and 97 less the rest modulo 97; Corsica's 2A and 2B count as 19 and 18.
fn is_france(number: &str) -> bool {
    if number.len() != 15 || !number.starts_with(['1', '2']) {
        return false;
    }
    let number = number.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let month: u32 = number[3..5].parse().unwrap_or(0);
    let is_month = (1..=12).contains(&month) || (20..=99).contains(&month);
    match (number[..13].parse::<u64>(), number[13..].parse::<u64>()) {
        (Ok(body), Ok(key)) => is_month && key == 97 - body % 97,
        _ => false,
    }
}

/// Birth date, order, and 97 less the rest modulo 97; born since 2000 with a 2 before the nine digits.
fn is_belgium(number: &str) -> bool {
    if digits::<11>(number).is_none() {
        return false;
    }
    let (Ok(body), Ok(key)) = (number[..9].parse::<u64>(), number[9..].parse::<u64>()) else {
        return false;
    };
    let (month, day) = (body / 100_000 % 100, body / 1_000 % 100);
    let is_date = month <= 12 && day <= 31;
    is_date && (key == 97 - body % 97 || key == 97 - (2_000_000_000 + body) % 97)
}

/// ISO 7064 MOD 11,10 over ten digits, of which one occurs two or three times.
fn is_germany(number: &str) -> bool {
    let Some(digits) = digits::<11>(number) else {
        return false;
    };
    let mut counts = [0; 10];
    for digit in &digits[..10] {
        counts[*digit as usize] += 1;
    }
    let repeated: Vec<i32> = counts.into_iter().filter(|count| *count > 1).collect();
    let product = digits[..10]
        .iter()
        .fold(10, |product, digit| match (product + digit) % 10 {
            0 => 20 % 11,
            sum => sum * 2 % 11,
        });
    digits[0] != 0 && matches!(repeated.as_slice(), [2 | 3]) && (11 - product) % 10 == digits[10]
}

/// The "eleven test": weights 9 to 2, and −1 for the last.
fn is_netherlands(number: &str) -> bool {
    let Some(digits) = digits::<9>(number) else {
        return false;
    };
    let sum: u32 = digits[..8]
        .iter()
        .zip((2..=9).rev())
        .map(|(digit, weight)| digit * weight)
        .sum();
    digits[0] != 0 && sum % 11 == digits[8]
}

/// Weights 9 to 2; 11 less the rest, 0 for 10 and 11. Persons' numbers begin with 1, 2 or 3.
fn is_portugal_tax(number: &str) -> bool {
    let Some(digits) = digits::<9>(number) else {
        return false;
    };
    let sum: u32 = digits[..8]
        .iter()
        .zip((2..=9).rev())
        .map(|(digit, weight)| digit * weight)
        .sum();
    let check = match 11 - sum % 11 {
        10 | 11 => 0,
        check => check,
    };
    (1..=3).contains(&digits[0]) && check == digits[8]
}

/// Eight digits, one more, two letters, one digit: Luhn's sum with letters from 10.
fn is_portugal_card(number: &str) -> bool {
    let bytes = number.as_bytes();
    if bytes.len() != 12
        || !bytes[..9].iter().all(u8::is_ascii_digit)
        || !bytes[9..11].iter().all(u8::is_ascii_alphabetic)
    {
        return false;
    }
    let values = number.chars().rev().filter_map(|c| c.to_digit(36));
    let sum: u32 = values
        .enumerate()
        .map(|(i, value)| match (i % 2, value * 2) {
            (0, _) => value,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    bytes[11].is_ascii_digit() && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_right_check_digits_are_found_and_others_are_not() {
        for (text, kind) in [
            ("account LU28 0019 4006 4475 0000 at", Kind::Iban),
            ("DE89370400440532013000.", Kind::Iban),
            ("NL91 ABNA 0417 1643 00", Kind::Iban),
            ("card 4111 1111 1111 1111", Kind::Card),
            ("card 5555-5555-5555-4444 ok", Kind::Card),
            ("1 85 05 78 006 084 91", Kind::France),
            ("86095742719", Kind::Germany),
            ("85.07.30-033 28", Kind::Belgium),
            ("number 111222333", Kind::Netherlands),
            ("00000000 0 ZZ4", Kind::PortugalCard),
            ("NIF 123456789", Kind::PortugalTax),
        ] {
            let found: Vec<Kind> = find(text).into_iter().map(|(_, kind)| kind).collect();
            assert_eq!(found, [kind], "{text}");
        }
        for text in [
            "LU28 0019 4006 4475 0001",
            "4111 1111 1111 1112",
            "1 85 05 78 006 084 92",
            "86095742718",
            "02476291358",
            "85.07.30-033 29",
            "on 2026-11-18 at 10:20, B123456",
            "+352 123456789",
            "call +352 621 000 111 or 2026/1234",
        ] {
            assert_eq!(find(text), Vec::new(), "{text}");
        }
    }

    #[test]
    fn a_luxembourg_number_has_its_digits() {
        let body = [1, 9, 8, 5, 0, 7, 3, 0, 1, 2, 3];
        let check = (0..10).find(|check| {
            let mut digits = body.to_vec();
            digits.push(*check);
            luhn(&digits)
        });
        let number = format!("19850730123{}7", check.unwrap());
        assert_eq!(find(&number), vec![(0, Kind::Luxembourg)]);
        let wrong = format!("19850730123{}7", (check.unwrap() + 1) % 10);
        assert_eq!(find(&wrong), Vec::new());
    }
}
