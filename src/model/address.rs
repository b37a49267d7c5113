//! What makes an e-mail address sound (RFC 5321, RFC 6531), and what it looks like on the wire. Does not ask whether
//! anybody reads mail there, and repeats no address in an error.

use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 5321 §4.5.3.1.1.
const LOCAL_PART_MOST_BYTES: usize = 64;
/// RFC 5321 §4.5.3.1.3 allows a path of 256 with its angle brackets.
const ADDRESS_MOST_BYTES: usize = 254;

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressFlaw {
    #[error("the address has a space, a control character or an angle bracket in it")]
    Characters,
    #[error("the address has no @")]
    NoAt,
    #[error("the address has nothing before its @")]
    NoLocalPart,
    #[error("the part before the @ is longer than {LOCAL_PART_MOST_BYTES} bytes")]
    LongLocalPart,
    #[error("the part before the @ has a character that only quotes would allow")]
    LocalPart,
    #[error("the address literal is not an IP address")]
    Literal,
    #[error("the domain is not a valid internationalised name")]
    Idn,
    #[error("the domain is not a valid name")]
    Domain,
    #[error("the address is longer than {ADDRESS_MOST_BYTES} bytes")]
    Long,
}

/// The address as it goes over the wire: its local part as written, its domain in A-labels (UTS 46, RFC 5890). What
/// comes out can break no SMTP command and no header.
///
/// # Errors
/// What is wrong with it.
pub fn on_the_wire(address: &str) -> Result<String, AddressFlaw> {
    let breaks = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    if address.chars().any(breaks) {
        return Err(AddressFlaw::Characters);
    }
    let (local, domain) = address.rsplit_once('@').ok_or(AddressFlaw::NoAt)?;
    check_local_part(local)?;
    let domain = wire_domain(domain)?;
    let text = [local, "@", &domain].concat();
    if text.len() > ADDRESS_MOST_BYTES {
        return Err(AddressFlaw::Long);
    }
    Ok(text)
}

/// Quoted or plain; a plain one may hold no character that has a meaning in the grammar (RFC 5321 §4.1.2). Dots are not
/// judged: addresses with two in a row exist, and their servers take them.
fn check_local_part(local: &str) -> Result<(), AddressFlaw> {
    if local.is_empty() {
        return Err(AddressFlaw::NoLocalPart);
    }
    if local.len() > LOCAL_PART_MOST_BYTES {
        return Err(AddressFlaw::LongLocalPart);
    }
    let sound = match local.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').is_some_and(is_quoted_content),
        None => !local.contains(['"', '(', ')', ',', ':', ';', '@', '[', ']', '\\']),
    };
    if sound { Ok(()) } else { Err(AddressFlaw::LocalPart) }
}

/// Inside quotes: every `"` and `\` is escaped.
fn is_quoted_content(content: &str) -> bool {
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return false,
            '\\' if chars.next().is_none() => return false,
            _ => {}
        }
    }
    true
}

/// The domain in A-labels, or a bracketed address literal.
///
/// # Errors
/// What is wrong with it.
pub fn wire_domain(domain: &str) -> Result<String, AddressFlaw> {
    if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        let known = match literal.strip_prefix("IPv6:") {
            Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<Ipv4Addr>().is_ok(),
        };
        return if known {
            Ok(domain.to_owned())
        } else {
            Err(AddressFlaw::Literal)
        };
    }
    let ascii = if domain.is_ascii() {
        domain.to_owned()
    } else {
        idna::domain_to_ascii_strict(domain).map_err(|_| AddressFlaw::Idn)?
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            // The underscore is no host name, but is used in some mail domains.
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if ascii.len() <= 253 && ascii.split('.').all(is_label) {
        Ok(ascii)
    } else {
        Err(AddressFlaw::Domain)
    }
}
