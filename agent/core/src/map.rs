//! Maps of the hot path.

/// A map by hash, seeded at random for each, so that what the wire says cannot choose who collides. Cheaper than the
/// standard library's hash, which resists more than a flood of bad keys; nothing here depends on its order.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
