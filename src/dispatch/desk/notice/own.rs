//! The same notice sealed to ourselves: for a rehearsal, which no authority ever gets.

use crate::directory::certificate::{self, Usable};
use crate::directory::profile::Layout;
use crate::dispatch::desk::DeskError;
use crate::dispatch::office::Office;
use crate::message::key::OurKey;
use crate::message::mime::Headers;
use crate::message::seal::{self, Sealed};
use crate::model::Time;

use super::choose::size_limit;
use super::{Prepared, on_blocking_thread};

/// Seals what was prepared to our own key alone, in the authority's layout and under these headers; stores nothing. Needs
/// no certificate of the authority.
///
/// # Errors
/// Our key cannot be used, the mail is larger than what may be sent, or it cannot be sealed.
pub async fn seal_to_ourselves(office: &Office, prepared: &Prepared, headers: &Headers) -> Result<Sealed, DeskError> {
    let now = office.now();
    let our = office.our_key().await?;
    let us = ourselves(&our, now)?;
    let (content, headers) = (prepared.content.clone(), headers.clone());
    let (layout, clear) = (prepared.profile.layout, prepared.clear.clone());
    let sealed = on_blocking_thread(move || {
        let sealed = match layout {
            Layout::PgpMime => seal::seal(&content, &headers, &our, &us, now)?,
            Layout::EncryptedFiles => seal::seal_files(&content, clear.beside_files(), &headers, &our, &us, now)?,
        };
        seal::self_check(&sealed, &content, &our, &us)?;
        Ok(sealed)
    })
    .await?;
    let (limit, whose) = size_limit(office, &prepared.profile);
    match sealed.mail.len() as u64 {
        size if size > limit => Err(DeskError::TooLarge { size, limit, whose }),
        _ => Ok(sealed),
    }
}

/// Ourselves as the reader of a sealed mail.
///
/// # Errors
/// Our own key cannot be encrypted to now.
pub fn ourselves(our: &OurKey, now: Time) -> Result<Usable, DeskError> {
    certificate::judge(our.certificate(), None, now).map_err(|error| {
        DeskError::Refused(format!(
            "our own key cannot be encrypted to: {error}; see: breachpost key show"
        ))
    })
}
