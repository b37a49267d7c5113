//! Numbers of things in the sentences that people read: `1 person`, `0 persons`, `1,000 persons`. JSON has the bare numbers.

use std::fmt::Display;

/// A number and what it counts, which is given as one: `person`, `signed checkpoint`.
pub fn counted(number: impl Display, one: &str) -> String {
    let number = number.to_string();
    let ending = match one.as_bytes() {
        _ if number == "1" => return format!("1 {one}"),
        [.., b'a' | b'e' | b'i' | b'o' | b'u', b'y'] => "s",
        [.., b'y'] => return format!("{} {}ies", grouped(&number), &one[..one.len() - 1]),
        [.., b's' | b'x'] | [.., b'c' | b's', b'h'] => "es",
        _ => "s",
    };
    format!("{} {one}{ending}", grouped(&number))
}

/// The form of a word that goes with a number: `waits` with one, `wait` with none and with many.
pub fn if_one<'t>(number: impl Display, one: &'t str, many: &'t str) -> &'t str {
    if number.to_string() == "1" { one } else { many }
}

/// A whole number with a comma between its thousands.
pub fn grouped(number: impl Display) -> String {
    let number = number.to_string();
    let digits = number.trim_start_matches('-').len();
    let mut text = String::new();
    for (i, digit) in number.chars().rev().enumerate() {
        if i > 0 && i < digits && i.is_multiple_of(3) {
            text.insert(0, ',');
        }
        text.insert(0, digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_agree() {
        for (number, one, wanted) in [
            (0, "person", "0 persons"),
            (1, "person", "1 person"),
            (2, "person", "2 persons"),
            (1000, "person", "1,000 persons"),
            (1, "entry", "1 entry"),
            (2, "entry", "2 entries"),
            (3, "day", "3 days"),
            (2, "address", "2 addresses"),
            (2, "hash", "2 hashes"),
            (2, "signed checkpoint", "2 signed checkpoints"),
        ] {
            assert_eq!(counted(number, one), wanted);
        }
        for (number, wanted) in [(0, "wait"), (1, "waits"), (2, "wait"), (11, "wait")] {
            assert_eq!(if_one(number, "waits", "wait"), wanted, "{number}");
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, wanted) in [
            (0_i64, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (-5, "-5"),
            (-100, "-100"),
            (-1000, "-1,000"),
        ] {
            assert_eq!(grouped(number), wanted);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }
}
