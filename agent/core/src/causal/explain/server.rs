//! Requests: the candidates are the client halves that claim to be the other end.

use super::{Candidate, subject};
use crate::causal::Causes;
use crate::causal::half::Half;
use crate::proto::exchange::Role;

type Reasons = (Vec<(&'static str, String)>, Vec<Candidate>);

impl Causes {
    pub(super) fn server_reasons(&self, half: &Half) -> Reasons {
        let met = self.halves.get(half.request.key).and_then(|half| half.met);
        let peer = match (met.and_then(|key| self.halves.get(key)), half.identity, half.unix_peer) {
            (Some(client), ..) => format!("names {}: the same bytes of the same connection", self.span_id(client)),
            (None, None, None) => "silent: nothing ties this connection to its other end".into(),
            (None, ..) => "silent: the other end was not seen, or more than one claims to be it".into(),
        };
        let wire = match half.request.context.parent {
            Some(parent) => format!("names {}", parent.span_id),
            None => "silent: no ids on the request".into(),
        };
        let candidates = self.halves.all().filter(|other| claims(other, half)).map(|other| Candidate {
            span_id: self.span_id(other),
            subject: subject(other),
            verdict: self.claim_verdict(other, half, met == Some(other.request.key)),
        });
        (vec![("peer", peer), ("wire", wire)], candidates.collect())
    }

    fn claim_verdict(&self, client: &Half, server: &Half, taken: bool) -> String {
        if taken {
            "taken: it is the other end".into()
        } else if !client.same_request(server) {
            "refused: it sent another request".into()
        } else if client.identity == server.identity {
            "refused: it does not claim so alone".into()
        } else {
            "refused: other bytes of the connection, or not open then".into()
        }
    }
}

fn claims(client: &Half, server: &Half) -> bool {
    let by_identity = server.identity.is_some() && client.identity == server.identity;
    client.request.role == Role::Client && (by_identity || server.unix_peer == Some(client.request.key.cookie))
}
