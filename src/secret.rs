//! A secret that cannot be printed by accident. Bottom of the house: imports nothing.

use zeroize::Zeroizing;

/// A password, passphrase or token. Its Debug prints nothing, it has no Display, and its memory is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }
    /// The secret itself: for the one place that must use it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn debug_shows_nothing() {
        assert!(!format!("{:?}", super::Secret::new("hunter2")).contains("hunter2"));
    }
}
