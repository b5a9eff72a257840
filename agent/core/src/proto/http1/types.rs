//! What the parser of a connection says beside its exchanges.

use crate::proto::exchange::Role;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet.
    Undecided,
    /// HTTP/1, and which end this is.
    Http1(Role),
    /// Something else, or nothing that could be read: no exchange will come of it.
    Other,
}

/// Declares the losses once: fields and names.
macro_rules! losses {
    ($($(#[doc = $doc:literal])+ $field:ident,)+) => {
        /// What was not understood, by reason.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Losses {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl Losses {
            /// Name and count of every reason.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field),)+].into_iter()
            }
        }

        impl std::ops::AddAssign for Losses {
            fn add_assign(&mut self, other: Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)+
            }
        }
    };
}

losses! {
    /// Places where a message head began, or should have, among bytes that were not seen.
    unseen_heads,
    /// Heads that were cut by a gap or by their limit: known by the fields before it.
    cut_heads,
    /// Heads that are none of HTTP/1, on a connection that spoke it before.
    malformed_heads,
    /// Bodies whose end could not be found, because a gap or nonsense took the place of their framing.
    lost_framings,
    /// Turns the kernel half shed.
    shed_turns,
    /// Exchanges that were given up ([`crate::proto::exchange::Outcome::Void`]).
    void_exchanges,
    /// Responses no request is known of; the request was unseen, or there was none.
    unasked_responses,
    /// Bytes that were told more than once; the first telling counted.
    overlapped_bytes,
}
