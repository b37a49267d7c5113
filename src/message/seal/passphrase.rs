//! A passphrase that one person reads to another on the telephone.

use crate::secret::Secret;

/// No I, L, O and U (Crockford's base32): each symbol survives being read out and written down by hand.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 30 symbols of 5 bits: 150 bits, beyond any guessing even if the mail is kept for decades.
const GROUPS: usize = 6;
const GROUP: usize = 5;

/// A fresh passphrase such as `7K3MQ-2XR4T-…`: six groups of five symbols, 150 random bits. The hyphens and capitals are
/// part of it.
pub fn fresh_passphrase() -> Secret {
    let mut random = zeroize::Zeroizing::new([0u8; GROUPS * GROUP]);
    getrandom::fill(random.as_mut()).expect("the operating system gives random bytes");
    let mut text = String::with_capacity(GROUPS * (GROUP + 1));
    for (i, byte) in random.iter().enumerate() {
        if i > 0 && i % GROUP == 0 {
            text.push('-');
        }
        // 256 is a multiple of 32, so no symbol is likelier than another.
        text.push(char::from(SYMBOLS[usize::from(byte % 32)]));
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrases_can_be_read_out() {
        let first = fresh_passphrase();
        let groups: Vec<&str> = first.expose().split('-').collect();
        assert_eq!(groups.len(), 6);
        assert!(groups.iter().all(|group| group.len() == 5), "{}", first.expose());
        assert!(!first.expose().contains(['I', 'L', 'O', 'U']));
        assert_ne!(first.expose(), fresh_passphrase().expose());
    }
}
