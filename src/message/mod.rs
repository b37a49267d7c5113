//! (in the making)
pub mod facts;
pub mod template;
