//! The body of a message whose end its own framing tells (RFC 9112, sections 6 and 7).

use super::chunked::{Chunked, Progress};
use crate::stream::Piece;

/// A body while its bytes come in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// So many bytes are left of so many.
    Length { left: u64, whole: u64 },
    /// Chunked transfer coding.
    Chunked(Chunked),
}

/// What a body became by more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Nothing yet.
    More,
    /// It is over, and had so many bytes.
    End(u64),
    /// Its end can no longer be found.
    Lost,
}

impl Body {
    /// A body of a known length.
    pub(super) const fn length(whole: u64) -> Self {
        Self::Length { left: whole, whole }
    }

    /// A chunked body.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked::default())
    }

    /// Takes what belongs to it from `piece`.
    pub(super) fn pass(&mut self, piece: &mut Piece<'_>) -> Passed {
        match self {
            Self::Length { left, whole } => {
                let taken = piece.len().min(*left);
                piece.advance(taken);
                *left -= taken;
                if *left == 0 { Passed::End(*whole) } else { Passed::More }
            }
            Self::Chunked(chunked) => {
                let (taken, progress) =
                    if piece.is_gap() { chunked.skip(piece.len()) } else { chunked.read(piece.bytes()) };
                piece.advance(taken);
                match progress {
                    Progress::More => Passed::More,
                    Progress::End => Passed::End(chunked.data_bytes()),
                    Progress::Lost => Passed::Lost,
                }
            }
        }
    }
}
