//! (in the making)

pub mod ask;
pub mod init;
