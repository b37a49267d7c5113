//! Persons' own OpenPGP certificates, which come with the list and from nowhere else: judged once when the list is
//! imported, kept in one form with what that came to, and read back when a message is sealed. A certificate that cannot be used makes no bad row:
//! the person is flagged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::directory::certificate::{self, Cert, CertificateError, Usable};
use crate::model::Time;
use crate::model::recipient::{Fields, Flags, Recipient};

/// The merge field that holds it.
pub const FIELD: &str = "certificate";
/// Between the certificate and the judgement about it, each in base64.
const JUDGED: char = '.';

/// Judges the certificates of a row; usable ones are kept, others are dropped. Returns the person's flags with what came
/// of it.
pub fn keep_usable(person: &mut Recipient, now: Time) -> Flags {
    let mut flags = person.flags;
    for cell in person.fields.take(FIELD) {
        match read(&cell).and_then(|cert| Ok((certificate::judge(&cert, Some(&person.address), now)?, cert))) {
            Ok((usable, cert)) => {
                flags.set(Flags::CERTIFICATE);
                let (cert, judged) = (certificate::to_bytes(&cert), usable.to_kept());
                let kept = format!("{}{JUDGED}{}", BASE64.encode(cert), BASE64.encode(judged));
                person.fields.add(FIELD, kept);
            }
            Err(error) => {
                flags.set(Flags::BAD_CERTIFICATE);
                flags.set(why_unusable(&error));
            }
        }
    }
    flags
}

fn why_unusable(error: &CertificateError) -> Flags {
    match error {
        CertificateError::Expired { .. } => Flags::CERTIFICATE_EXPIRED,
        CertificateError::Revoked { .. } => Flags::CERTIFICATE_REVOKED,
        CertificateError::Weak { .. } | CertificateError::Sha1 { .. } => Flags::CERTIFICATE_WEAK,
        CertificateError::NoSuchAddress { .. } => Flags::CERTIFICATE_OF_ANOTHER,
        CertificateError::SecretKey { .. } => Flags::SECRET_KEY,
        _ => Flags::CERTIFICATE_UNREADABLE,
    }
}

/// Whether a certificate of this person could be used when the list was imported.
pub fn had_usable(fields: &Fields) -> bool {
    !fields.all(FIELD).is_empty()
}

/// The first of the person's certificates that can be used now.
pub fn usable(fields: &Fields, address: &str, now: Time) -> Option<Usable> {
    let judged = |cell: &String| {
        let judged = cell
            .split_once(JUDGED)
            .and_then(|(_, judged)| BASE64.decode(judged).ok());
        let stands = judged.and_then(|judged| Usable::from_kept(&judged, now));
        stands.or_else(|| certificate::judge(&read(cell).ok()?, Some(address), now).ok())
    };
    fields.all(FIELD).iter().find_map(judged)
}

/// Armored, or the bare base64 that Autocrypt and we write; spreadsheets turn line breaks into `\n`.
fn read(cell: &str) -> Result<Cert, CertificateError> {
    if cell.contains("-----BEGIN") {
        return match cell.contains('\n') {
            true => certificate::read_one(cell.as_bytes()),
            false => certificate::read_one(cell.replace("\\r", "").replace("\\n", "\n").as_bytes()),
        };
    }
    let bare = cell.split(JUDGED).next().unwrap_or_default();
    let bare: String = bare.split_whitespace().collect();
    match BASE64.decode(bare) {
        Ok(bytes) => certificate::read_one(&bytes),
        Err(_) => certificate::read_one(cell.as_bytes()),
    }
}
