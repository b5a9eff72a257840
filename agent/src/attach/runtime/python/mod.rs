//! CPython: what the probes of contexts need, found in its file and checked against the process.
//!
//! - `layout`: versions, and where each keeps what is read
//! - `check`: whether a process is what it seems
//! - `greenlet`: greenlets of a process that has them
//! - `image`: what its files say, remembered; `copies`: where contexts are made; `queues`: where items are put and taken, and
//!   `takes`: where they leave a `SimpleQueue`; `unused`: whether any of the others was ever used
//!
//! Exported in every build, stripped or not: `_PyRuntime`, `PyContext_CopyCurrent`, `PyContext_Type`, `Py_GetVersion` and,
//! from 3.11 on, `Py_Version`. The function that frees contexts is in the slot `tp_dealloc` of the type.

mod check;
mod copies;
mod greenlet;
mod image;
mod layout;
mod queues;
mod takes;
mod unused;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use agent_ebpf::wire::config::Python;
use agent_ebpf::wire::names::program;

use super::maps::{Mapping, open};
use super::site::Site;
use super::{Found, Kind, Refusal, pipes};
use check::Expected;
use image::Image;
pub use image::Images;
use layout::{SIMPLE_LIST, Version};
use takes::Registers;
pub use unused::Unused;

/// Looks at a process.
///
/// # Errors
/// The reason why it is not adapted.
pub fn find(tgid: u32, images: &mut Images) -> Result<Found, Refusal> {
    let is_python = |name: &str| name.starts_with("python") || name.starts_with("libpython");
    let all = Mapping::all(tgid).map_err(|_| Refusal::Unreadable("its mappings"))?;
    let mut refusal = Refusal::NoRuntime;
    // An interpreter may have its runtime in a library, and then exports nothing itself.
    for mapping in Mapping::first(&all, is_python).iter().rev() {
        match look(tgid, mapping, &all, images) {
            Err(why) => refusal = why,
            found => return found,
        }
    }
    Err(refusal)
}

/// Where probes go in a runtime, in greenlet, and in the extension with the queues, as if a file were each of them.
pub(super) fn read(file: &Arc<File>) -> Vec<Result<Vec<Site>, Refusal>> {
    let runtime = Image::read(file).map(|image| image.sites);
    let greenlet = greenlet::Image::read(file).map(|image| image.sites);
    let extension = queues::in_extension(file, SIMPLE_LIST).map(|queues| queues.sites);
    vec![runtime, greenlet, extension]
}

/// False for return probes on what may run a greenlet, which would come back on another stack: `SimpleQueue.get` calls
/// handlers of signals; a copy of a context may collect garbage up to 3.11, and with it a greenlet that has not ended.
fn is_safe_beside_greenlets(site: &Site, version: Version) -> bool {
    match site.program {
        program::PYTHON_GET => false,
        program::PYTHON_COPY => version.minor >= 12,
        _ => true,
    }
}

fn look(tgid: u32, mapping: &Mapping, all: &[Mapping], images: &mut Images) -> Result<Found, Refusal> {
    let file = open(&mapping.file_of(tgid)).map_err(|_| Refusal::Unreadable("the file of its runtime"))?;
    let image = images.runtimes.of(file, Image::read)?;
    let bias = image.bias(mapping.start, mapping.offset).ok_or(Refusal::Unreadable("where its runtime is"))?;
    let layout = image.layout;
    let runtime = image.runtime.wrapping_add(bias);
    let expected = Expected { tgid, runtime, context_type: image.context_type.wrapping_add(bias), layout };
    let (started, threads) = match expected.check() {
        Ok(threads) => (true, threads),
        // Its probes may stand before it starts what it does.
        Err(Refusal::NotStarted) => (false, Vec::new()),
        Err(why) => return Err(why),
    };
    let greenlets = greenlet::find(tgid, &threads, all, images);
    let places = greenlets.as_ref().map_or_else(|_| greenlet::Places::default(), |greenlets| greenlets.places);
    let pipes = pipes::find(tgid, all, images);
    let extension = queues::extension(tgid, image.version, Path::new(&mapping.path), all);
    let read = |file: &Arc<File>| queues::in_extension(file, layout.simple_list);
    let extension = extension.and_then(|file| images.extensions.of(file, read).ok());
    let taken = image.taken.or_else(|| extension.as_ref()?.taken).unwrap_or(Registers { item: 0, queue: 0 });
    let python = Python {
        runtime,
        interpreters_head: layout.interpreters_head,
        threads_head: layout.threads_head,
        thread_next: layout.thread_next,
        thread_id: layout.thread_id,
        thread_context: layout.context,
        thread_frame: layout.frame.thread,
        frame_within: layout.frame.within,
        frame_code: layout.frame.code,
        code_name: layout.frame.name,
        name_text: layout.frame.text,
        none: image.none.wrapping_add(bias),
        greenlet_slot: places.slot,
        greenlet_variable: places.variable,
        greenlet_class: places.class,
        simple_list: layout.simple_list,
        pipes: u32::from(pipes.is_some()),
        taken_item: taken.item,
        taken_queue: taken.queue,
    };
    let extension = extension.iter().flat_map(|queues| &queues.sites);
    let of_greenlet = greenlets.iter().flat_map(|greenlets| &greenlets.image.sites);
    let of_pipes = pipes.iter().flat_map(|sites| sites.iter());
    let sites = image.sites.iter().chain(extension).chain(of_greenlet).chain(of_pipes);
    let mut sites: Vec<Site> = sites.cloned().collect();
    if !matches!(greenlets, Err(Refusal::NoRuntime)) {
        sites.retain(|site| is_safe_beside_greenlets(site, image.version));
    }
    let greenlets = greenlets.and_then(|greenlets| if greenlets.seen { Ok(()) } else { Err(Refusal::NotStarted) });
    let unused = Unused::of(tgid, runtime, image.version, &layout);
    let layout = started.then_some(super::Layout::Python(python));
    Ok(Found { tgid, kind: Kind::Python, version: image.version.to_string(), sites, greenlets, layout, unused })
}
