//! Addresses as the envelope needs them: refused when they could break a command, their domain in A-labels, and
//! encoded for the DSN parameters. Does not ask whether anybody reads mail there.

use std::fmt::Write as _;

use crate::model::address;

/// RFC 3461 §4.2.
const ORCPT_MOST_CHARS: usize = 500;

/// An address that is safe inside `MAIL FROM:<…>` or `RCPT TO:<…>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnvelopeAddress {
    text: String,
}

impl EnvelopeAddress {
    /// Checks the address and turns its domain into A-labels (UTS 46, RFC 5890). The text of an error says what is
    /// wrong without repeating the address.
    pub(super) fn parse(address: &str) -> Result<Self, String> {
        let text = address::on_the_wire(address).map_err(|flaw| flaw.to_string())?;
        Ok(Self { text })
    }

    /// The address as it goes over the wire.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
    /// Whether the relay must offer SMTPUTF8 (RFC 6531): the local part is not ASCII.
    pub(super) fn needs_utf8(&self) -> bool {
        !self.text.is_ascii()
    }

    /// The value of ORCPT: `rfc822;` with xtext (RFC 3461 §4.2), or `utf-8;` in the form that stays ASCII
    /// (`utf-8-addr-xtext`, RFC 6533 §3). `None` where it would be too long to be allowed.
    pub(super) fn orcpt(&self) -> Option<String> {
        let value = if self.needs_utf8() {
            let mut value = String::from("utf-8;");
            for c in self.text.chars() {
                match c {
                    '!'..='~' if !matches!(c, '+' | '=' | '\\') => value.push(c),
                    _ => write!(value, "\\x{{{:02X}}}", u32::from(c)).expect("a String takes all that is written"),
                }
            }
            value
        } else {
            format!("rfc822;{}", xtext(&self.text))
        };
        (value.len() <= ORCPT_MOST_CHARS).then_some(value)
    }
}

/// RFC 3461 §4: printable ASCII as it is, all else, `+` and `=` as `+HH`.
pub(super) fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'!'..=b'~' if b != b'+' && b != b'=' => out.push(char::from(b)),
            _ => write!(out, "+{b:02X}").expect("a String takes all that is written"),
        }
    }
    out
}

/// The domain in A-labels, or a bracketed address literal.
pub(super) fn wire_domain(domain: &str) -> Result<String, String> {
    address::wire_domain(domain).map_err(|flaw| flaw.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_they_go_over_the_wire() {
        for (given, wire, utf8) in [
            ("databreach@cnpd.lu", "databreach@cnpd.lu", false),
            ("Mixed.Case@Example.LU", "Mixed.Case@Example.LU", false),
            ("info@bücher.example", "info@xn--bcher-kva.example", false),
            ("info@BÜCHER.example", "info@xn--bcher-kva.example", false),
            ("δοκιμή@παράδειγμα.gr", "δοκιμή@xn--hxajbheg2az3al.gr", true),
            ("a..b@docomo.example", "a..b@docomo.example", false),
            ("o'brien+tag=x@example.ie", "o'brien+tag=x@example.ie", false),
            ("\"a\\\"b\"@example.lu", "\"a\\\"b\"@example.lu", false),
            ("\"a@b\"@example.lu", "\"a@b\"@example.lu", false),
            ("root@[127.0.0.1]", "root@[127.0.0.1]", false),
            ("root@[IPv6:::1]", "root@[IPv6:::1]", false),
            ("root@localhost", "root@localhost", false),
            ("a@_dmarc.example.lu", "a@_dmarc.example.lu", false),
        ] {
            let address = EnvelopeAddress::parse(given).unwrap_or_else(|e| panic!("{given}: {e}"));
            assert_eq!((address.as_str(), address.needs_utf8()), (wire, utf8));
        }
    }

    #[test]
    fn addresses_that_could_break_a_command_are_refused() {
        let long_local = format!("{}@example.lu", "a".repeat(65));
        let long_domain = format!("a@{}lu", "abcdefgh.".repeat(30));
        for bad in [
            "",
            "@",
            "a@",
            "@example.lu",
            "nobody",
            "a@b\r\nRCPT TO:<c@d>",
            "a@b\n",
            "a\0@b.lu",
            "a b@example.lu",
            "a\u{a0}b@example.lu",
            "a\u{85}@example.lu",
            "<a@example.lu>",
            "a@example.lu>",
            "a@example.lu> SIZE=1",
            "@relay.lu:a@example.lu",
            "a,b@example.lu",
            "a\"b@example.lu",
            "\"a\"b\"@example.lu",
            "\"a\\\"@example.lu",
            "a@example..lu",
            "a@.lu",
            "a@example.lu.",
            "a@-example.lu",
            "a@exa mple.lu",
            "a@exa!mple.lu",
            "a@[127.0.0.256]",
            "a@[::1]",
            "a@bü\u{200d}cher..example",
            long_local.as_str(),
            long_domain.as_str(),
        ] {
            assert!(EnvelopeAddress::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn errors_do_not_repeat_the_address() {
        let error = EnvelopeAddress::parse("jane.doe(secret)@example.lu").unwrap_err();
        assert!(!error.contains("jane"), "{error}");
    }

    #[test]
    fn original_recipient_for_delivery_reports() {
        let orcpt = |a: &str| EnvelopeAddress::parse(a).unwrap().orcpt();
        assert_eq!(orcpt("a+b=c@example.lu").unwrap(), "rfc822;a+2Bb+3Dc@example.lu");
        assert_eq!(
            orcpt("info@bücher.example").unwrap(),
            "rfc822;info@xn--bcher-kva.example"
        );
        assert_eq!(
            orcpt("jösé+x@example.lu").unwrap(),
            "utf-8;j\\x{F6}s\\x{E9}\\x{2B}x@example.lu"
        );
        let long = format!("{}@{}lu", "字".repeat(21), "abcdefgh.".repeat(20));
        assert!(orcpt(&long).is_some());
    }

    #[test]
    fn xtext_leaves_only_printable_ascii() {
        assert_eq!(xtext("BP-7K3M-Q2XR"), "BP-7K3M-Q2XR");
        assert_eq!(xtext("a+b=c d\r\né"), "a+2Bb+3Dc+20d+0D+0A+C3+A9");
    }
}
