//! (in the making)
pub mod certificate;
