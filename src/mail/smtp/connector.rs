//! The relay, ready to be connected to: its settings checked, and whom we trust loaded.

use super::relay::{Relay, RelayError};
use crate::mail::tls::{Tls, TlsMode};

/// A relay's settings, checked, with the trusted certificates loaded. Made once; every connection is opened from it.
pub struct Connector {
    relay: Relay,
    tls: Option<Tls>,
}
impl Connector {
    /// Checks the settings and loads the certificates of the system and of `ca_file`.
    ///
    /// # Errors
    /// [`RelayError`]: clear text off loopback, an EHLO name that cannot be used, a `ca_file` that cannot be read or
    /// holds no certificate, or no trusted certificate at all.
    pub fn new(relay: Relay) -> Result<Self, RelayError> {
        relay.check()?;
        let tls = match relay.tls {
            TlsMode::None => None,
            TlsMode::Implicit | TlsMode::StartTls => {
                Some(Tls::new(&relay.host, relay.ca_file.as_deref(), "relay.tls.ca_file")?)
            }
        };
        Ok(Self { relay, tls })
    }
    /// The settings it was made from.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}
impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}
