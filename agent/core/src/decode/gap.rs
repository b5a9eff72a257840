//! Capture gaps in recordings: by the number of their reason, which is never reused.

use agent_ebpf::wire::loss;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

use crate::decode::CaptureGap;

pub(super) fn serialize<S: Serializer>(gap: &Option<CaptureGap>, serializer: S) -> Result<S::Ok, S::Error> {
    let number = |gap: CaptureGap| loss::ALL.iter().find(|(_, name, _)| *name == gap).map_or(0, |(number, ..)| *number);
    gap.map_or(0, number).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CaptureGap>, D::Error> {
    let number = u16::deserialize(deserializer)?;
    if number == 0 {
        return Ok(None);
    }
    let known = loss::ALL.iter().find(|(known, ..)| *known == number);
    known.map(|(_, name, _)| Some(*name)).ok_or_else(|| D::Error::custom(format!("no reason {number}")))
}
