//! Where the key of an address lies by the Web Key Directory (draft-koch-openpgp-webkey-service-21 §3.1). Computes two
//! URLs; fetches nothing.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The alphabet of z-base-32, as RFC 6189 §5.1.6 has it.
const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// All but the unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Both places; the second one counts only where the host of the first does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WkdUrls {
    pub advanced: String,
    pub direct: String,
}

/// The places for a bare address; `None` for what is none.
pub fn wkd(address: &str) -> Option<WkdUrls> {
    let (local, domain) = address.rsplit_once('@')?;
    if local.is_empty() || domain.is_empty() {
        return None;
    }
    let domain = domain.to_ascii_lowercase();
    let hash = z_base_32(&openssl::sha::sha1(local.to_ascii_lowercase().as_bytes()));
    let local = utf8_percent_encode(local, RESERVED);
    Some(WkdUrls {
        advanced: format!("https://openpgpkey.{domain}/.well-known/openpgpkey/{domain}/hu/{hash}?l={local}"),
        direct: format!("https://{domain}/.well-known/openpgpkey/hu/{hash}?l={local}"),
    })
}

/// Five bits a symbol; the 160 bits of SHA-1 leave no rest.
fn z_base_32(bytes: &[u8; 20]) -> String {
    bytes
        .chunks(5)
        .flat_map(|five| {
            let bits = five.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            (0..8)
                .rev()
                .map(move |symbol| char::from(ALPHABET[(bits >> (symbol * 5)) as usize & 31]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the draft itself.
    #[test]
    fn the_example_of_the_draft() {
        let urls = wkd("Joe.Doe@Example.ORG").unwrap();
        assert_eq!(
            urls.advanced,
            "https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe"
        );
        assert_eq!(
            urls.direct,
            "https://example.org/.well-known/openpgpkey/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe"
        );
        assert_eq!(wkd("nobody"), None);
        assert_eq!(wkd("@example.org"), None);
    }
}
