//! Messages to individuals (GDPR Art. 34): how a list becomes the persons of a campaign, what is known about them, and
//! the letter that each of them gets. Sending is the courier's.

pub mod bad_rows;
pub mod check;
pub mod give_up;
pub mod import;
pub mod keys;
mod letters;
pub mod post;
pub mod settle;
pub mod wording;

pub use letters::{CERTIFICATE_ENDED, CampaignContent, Letter, LetterError, why};
pub use wording::Wording;
