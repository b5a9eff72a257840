//! Which exchange caused which, and how that is known.
