//! From judgements to ids: which trace a half belongs to, and which span is its parent.

use crate::causal::Causes;
use crate::causal::half::{Decided, Half, Legacy};
use crate::causal::judge::Judgement;
use crate::causal::settle::Moment;
use crate::ids::{BootNanos, ProcessId, SockCookie, SpanId, ThreadId, TraceId, UnitId};
use crate::limits::{CAUSE_DEPTH_MAX, PEER_SKEW_NS};
use crate::proto::exchange::{HalfKey, Role};
use crate::span::{Confidence, Decision, Evidence, OrphanReason, SpanLink, Value, names};

/// Why a decision cannot be made yet: a thread or a unit on the way to the root must end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What must end.
    pub on: On,
    /// When its end would tell nothing any more, unless it acts again.
    pub until: BootNanos,
}

/// The client half of a server's exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// This one.
    Found(HalfKey),
    /// None was seen.
    Unseen,
    /// More than one claims to be it, or the one that does asked for something else: none is believed.
    Disputed,
}

/// What a decision waits for the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// A thread.
    Thread(ThreadId),
    /// A unit of a runtime.
    Unit(ProcessId, UnitId),
}

impl Causes {
    /// Decides a half, and every half between it and its root: once decided, always decided, since a span may have been
    /// built from it. What is told is what it hands on.
    ///
    /// # Errors
    /// If a thread or a unit must end first; never at the last moment.
    pub(super) fn decide(&mut self, key: HalfKey, moment: Moment) -> Result<Option<Legacy>, Pending> {
        let Some(half) = self.halves.get(key) else { return Ok(None) };
        if let Some(decided) = &half.decided {
            return Ok(Some(decided.legacy()));
        }
        // Evidence that makes a half its own cause is none.
        if self.path.contains(&key) {
            return Ok(None);
        }
        let role = half.request.role;
        self.path.push(key);
        let decided = match role {
            Role::Server => self.decide_server(key, moment),
            Role::Client => self.decide_client(key, moment),
        };
        self.path.pop();
        let Some(decided) = decided? else { return Ok(None) };
        let legacy = decided.legacy();
        if self.explaining
            && let Some(half) = self.halves.get(key)
        {
            let explanation = self.explain(half, &decided, moment);
            self.explanations.push(explanation);
        }
        if let Some(half) = self.halves.get_mut(key) {
            half.decided = Some(decided);
        }
        Ok(Some(legacy))
    }

    fn decide_server(&mut self, key: HalfKey, moment: Moment) -> Result<Option<Decided>, Pending> {
        let Some(half) = self.halves.get(key) else { return Ok(None) };
        let found = self.client_of(half);
        self.stats.disputed_identities += u64::from(found == Client::Disputed);
        let caller = match found {
            Client::Found(peer) if self.path.len() < CAUSE_DEPTH_MAX => {
                let caller = self.decide(peer, moment)?;
                if let Some(half) = self.halves.get_mut(key).filter(|_| caller.is_some()) {
                    half.met = Some(peer);
                }
                caller
            }
            Client::Found(_) | Client::Disputed | Client::Unseen => None,
        };
        let Some(half) = self.halves.get(key) else { return Ok(None) };
        Ok(Some(match (caller, half.request.context.parent) {
            (Some(caller), _) => self.child(half, &caller, Evidence::Peer, Confidence::Exact),
            (None, Some(parent)) => {
                let mut decided = self.root(half, Evidence::Wire, Confidence::Exact);
                decided.decision.parent = Some(parent.span_id);
                decided
            }
            (None, None) => self.root(half, Evidence::Root, Confidence::None),
        }))
    }

    fn decide_client(&mut self, key: HalfKey, moment: Moment) -> Result<Option<Decided>, Pending> {
        let moment = Moment { last: moment.last || self.path.len() >= CAUSE_DEPTH_MAX, ..moment };
        let Some(half) = self.halves.get(key) else { return Ok(None) };
        let judgement = self.judge(half, moment);
        let cause = match judgement {
            Judgement::Pending(pending) => return Err(pending),
            Judgement::Caused(cause, ..) | Judgement::Continued(_, Some(cause)) | Judgement::Conflict(cause) => {
                self.decide(cause, moment)?
            }
            Judgement::Continued(_, None) | Judgement::Orphan(_) | Judgement::Root => None,
        };
        let several = match judgement {
            Judgement::Orphan(OrphanReason::NoLineage | OrphanReason::AmbiguousBatch) => self.several(key, moment)?,
            _ => None,
        };
        let Some(half) = self.halves.get(key) else { return Ok(None) };
        let decided = match several {
            Some((causes, confidence)) => self.linked_to(half, &causes, confidence),
            None => self.judged(half, judgement, cause),
        };
        self.stats.conflicts += u64::from(decided.decision.conflict);
        Ok(Some(decided))
    }

    /// What the requests hand on that a call was made for, if there are several.
    fn several(&mut self, key: HalfKey, moment: Moment) -> Result<Option<(Vec<Legacy>, Confidence)>, Pending> {
        let Some(half) = self.halves.get(key) else { return Ok(None) };
        let Some((causes, confidence)) = self.made_for_several(half, self.asked(half)) else { return Ok(None) };
        let mut legacies = Vec::new();
        for cause in causes {
            // One that stems from the call itself is no evidence, so the others are not all.
            let Some(legacy) = self.decide(cause, moment)? else { return Ok(None) };
            legacies.push(legacy);
        }
        Ok(Some((legacies, confidence)))
    }

    /// A call for several requests has no parent, and is linked to each of them.
    fn linked_to(&self, half: &Half, causes: &[Legacy], confidence: Confidence) -> Decided {
        let mut decided = self.root(half, Evidence::Item, confidence);
        decided.excluded |= causes.iter().all(|cause| cause.excluded);
        decided.decision.links = causes
            .iter()
            .filter(|cause| !cause.excluded)
            .map(|cause| SpanLink {
                trace_id: cause.trace_id,
                span_id: cause.span_id,
                attributes: vec![(names::EVIDENCE, Value::String(Evidence::Item.name().into()))],
            })
            .collect();
        decided
    }

    /// What a judgement decides, with what the cause that it names hands on.
    fn judged(&self, half: &Half, judgement: Judgement, cause: Option<Legacy>) -> Decided {
        match judgement {
            Judgement::Caused(_, evidence, confidence) => match cause {
                Some(cause) => self.child(half, &cause, evidence, confidence),
                None => self.orphan(half, OrphanReason::Late),
            },
            Judgement::Continued(parent, _) => {
                let mut decided = self.root(half, Evidence::Wire, Confidence::Exact);
                decided.decision.parent = Some(parent.span_id);
                if let Some(cause) = cause {
                    decided.decision.sampled = cause.sampled;
                    decided.excluded |= cause.excluded;
                }
                decided
            }
            Judgement::Conflict(_) => {
                let mut decided = self.orphan(half, OrphanReason::Conflict);
                decided.decision.conflict = true;
                if let Some(cause) = cause {
                    decided.decision.links.push(SpanLink {
                        trace_id: cause.trace_id,
                        span_id: cause.span_id,
                        attributes: vec![(names::EVIDENCE, Value::String("kernel".into()))],
                    });
                }
                decided
            }
            Judgement::Orphan(reason) => self.orphan(half, reason),
            Judgement::Root | Judgement::Pending(_) => self.root(half, Evidence::Root, Confidence::None),
        }
    }

    /// The client half of the same exchange.
    fn client_of(&self, half: &Half) -> Client {
        let found = match half.unix_peer {
            Some(peer) => self.unix_client(half, peer).map_or(Client::Unseen, Client::Found),
            None => self.tcp_client(half),
        };
        let Client::Found(key) = found else { return found };
        let same = self.halves.get(key).is_some_and(|client| client.same_request(half));
        if same { found } else { Client::Disputed }
    }

    fn tcp_client(&self, half: &Half) -> Client {
        let Some(identity) = half.identity else { return Client::Unseen };
        let mut clients = self.halves.claiming(Role::Client, identity);
        match (clients.next(), clients.next()) {
            (None, _) => Client::Unseen,
            (Some(client), None) => Client::Found(client.request.key),
            (Some(_), Some(_)) => Client::Disputed,
        }
    }

    /// The client half on the socket at the other end. Both ends count from their first sight of the connection: what
    /// lies between the two counts is the same for all exchanges, and mostly nothing. Until it is known, the client half
    /// is the only one that was open then.
    fn unix_client(&self, half: &Half, peer: SockCookie) -> Option<HalfKey> {
        let open = |client: &&Half| {
            let starts_before = client.start().0.saturating_sub(PEER_SKEW_NS) <= half.start().0;
            let ends_after = client.end.is_none_or(|end| half.start() <= end.time);
            client.request.role == Role::Client && starts_before && ends_after
        };
        let key = half.request.key;
        let at = |offset| self.halves.get(HalfKey { cookie: peer, offset }).filter(open);
        let before = self.halves.before(key).and_then(|other| Some((other.request.key, other.met?)));
        if let Some((theirs, met)) = before {
            return at(key.offset.wrapping_sub(theirs.offset).wrapping_add(met.offset))
                .map(|client| client.request.key);
        }
        if let Some(client) = at(key.offset) {
            return Some(client.request.key);
        }
        let mut candidates = self.halves.of_socket(peer).filter(open).map(|client| client.request.key);
        candidates.next().filter(|_| candidates.next().is_none())
    }

    fn child(&self, half: &Half, cause: &Legacy, evidence: Evidence, confidence: Confidence) -> Decided {
        let mut decided = self.decided(half, cause.trace_id, evidence, confidence);
        decided.decision.parent = Some(cause.span_id);
        decided.decision.sampled = cause.sampled;
        if decided.decision.tracestate.is_none() {
            decided.decision.tracestate.clone_from(&cause.tracestate);
        }
        decided.excluded |= cause.excluded;
        decided
    }

    fn orphan(&self, half: &Half, reason: OrphanReason) -> Decided {
        let mut decided = self.root(half, Evidence::None, Confidence::None);
        decided.decision.orphan_reason = Some(reason);
        decided
    }

    /// A half without a parent. What it passes on tells its trace all the same.
    fn root(&self, half: &Half, evidence: Evidence, confidence: Confidence) -> Decided {
        let carried = half.request.context.parent.map(|parent| parent.trace_id);
        self.decided(half, carried.unwrap_or_else(|| self.trace_id(half)), evidence, confidence)
    }

    fn decided(&self, half: &Half, trace_id: TraceId, evidence: Evidence, confidence: Confidence) -> Decided {
        let request = &half.request;
        Decided {
            decision: Decision {
                trace_id,
                span_id: self.span_id(half),
                parent: None,
                evidence,
                confidence,
                orphan_reason: None,
                conflict: false,
                links: Vec::new(),
                start: half.start(),
                tracestate: request.context.tracestate.clone(),
                sampled: request.context.parent.map(|parent| parent.sampled),
            },
            excluded: (self.excluded)(&request.target),
        }
    }

    fn trace_id(&self, half: &Half) -> TraceId {
        self.minter.trace_id(half.request.key, half.identity)
    }

    pub(super) fn span_id(&self, half: &Half) -> SpanId {
        self.minter.span_id(half.request.role, half.request.key, half.identity)
    }

    /// When a client half began: its own send, or the peer's read if that hook ran first.
    pub(super) fn client_start(&self, half: &Half, server: Option<BootNanos>) -> BootNanos {
        match server {
            Some(read) if read < half.start() && half.start().since(read) < PEER_SKEW_NS => read,
            _ => half.start(),
        }
    }
}
