//! Both ends' words on one exchange, put together.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::truth::{self, Event, Sighting};

/// One exchange in truth.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) id: String,
    /// What caused it; none at all if the driver sent it.
    pub(super) causes: Option<Vec<String>>,
    /// The calling end, by its own word, else by the other end's.
    pub(super) client: End,
    /// The serving end, by its own word, else by the other end's.
    pub(super) server: End,
}

/// One end of an exchange.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// Its process, if it told.
    pub(super) pid: Option<u32>,
    pub(super) local: String,
    pub(super) peer: String,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
}

/// Puts sightings together by id, and in the order of ids.
pub(super) fn gather(sightings: &[Sighting]) -> Result<Vec<Exchange>> {
    let mut by_id = BTreeMap::<&str, [Option<&Sighting>; 2]>::new();
    for sighting in sightings {
        let place = usize::from(sighting.event == Event::In);
        let told = by_id.entry(&sighting.id).or_default()[place].replace(sighting);
        ensure!(told.is_none(), "the truth tells {} twice", sighting.id);
    }
    let exchanges = by_id.into_iter().filter_map(|(id, [out, read])| {
        let some = out.or(read)?;
        Some(Exchange {
            id: id.to_owned(),
            causes: truth::causes(&some.id).map(|causes| causes.into_iter().map(ToOwned::to_owned).collect()),
            client: out.map_or_else(|| mirror(some), own),
            server: read.map_or_else(|| mirror(some), own),
        })
    });
    Ok(exchanges.collect())
}

/// The place of the exchange with this id among those gathered.
pub(super) fn place(exchanges: &[Exchange], id: &str) -> Option<usize> {
    exchanges.binary_search_by(|other| other.id.as_str().cmp(id)).ok()
}

fn own(sighting: &Sighting) -> End {
    End {
        pid: Some(sighting.pid),
        local: sighting.local.clone(),
        peer: sighting.peer.clone(),
        from_ns: sighting.from_ns,
        to_ns: sighting.to_ns,
    }
}

/// The other end, as this one knows it.
fn mirror(sighting: &Sighting) -> End {
    End {
        pid: None,
        local: sighting.peer.clone(),
        peer: sighting.local.clone(),
        from_ns: sighting.from_ns,
        to_ns: sighting.to_ns,
    }
}
