//! Which conditions hold, as tables.
