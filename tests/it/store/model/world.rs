//! Three store nodes, two login servers, and an attacker who has every token and tries each everywhere: as a model whose
//! states are all visited.

use loopkey::protocol::id::ChallengeId;
use loopkey::verify::mark::{FirstUse, Outcome, settle};
use stateright::{Model, Property};

use super::engine::{Drawn, Life, Node, Scheme, renumber};

const NODES: usize = 3;
const FIRST_PRIMARY: usize = 0;
/// Tokens in one history, at most.
const TOKENS: usize = 2;

/// The login servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    A,
    B,
}

/// What may go wrong, besides crashes and failovers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Crashes, promotions and losses in one history, at most; without it, any number.
    pub(super) at_most: Option<u8>,
    /// A node that starts may have lost everything.
    pub(super) loss: bool,
    /// A node that starts may have lost the latest marks and nothing else: its disk was put back to an earlier state.
    pub(super) rollback: bool,
    /// A replica may be promoted while the primary goes on.
    pub(super) split_brain: bool,
    /// Somebody may empty a running node (`FLUSHALL`).
    pub(super) flush: bool,
}

/// What happens, one thing at a time. Nodes and tokens have numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A login server issues the next challenge; the agent answers it with a token, which the attacker has from then on.
    Issue(Server),
    /// The token is posted to that login server.
    Redeem(Server, usize),
    /// A replica has what the login server waits for.
    Acknowledge(Server),
    /// A login server finds another primary.
    Learn(Server, usize),
    /// The first node's state arrives at the second.
    Copy(usize, usize),
    Crash(usize),
    Start(usize),
    StartEmpty(usize),
    StartFromEarlier(usize),
    Promote(usize),
    /// The old primary of a split brain is made a replica.
    Demote(usize),
    Flush(usize),
}

/// A login server's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct View {
    /// The node that it writes to.
    at: usize,
    /// What it read when it connected, with [`Scheme::ReplidOfConnection`].
    life: Life,
    /// The mark for which it waits to be copied, with [`Scheme::WaitForOne`].
    waiting: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Token {
    /// The life that its challenge names.
    life: Life,
    /// How many sessions it opened.
    sessions: u8,
}

/// One state of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    nodes: [Node; NODES],
    servers: [View; 2],
    tokens: [Option<Token>; TOKENS],
    faults: u8,
    /// A token signed somebody in on a node that was promoted.
    signed_in_after: bool,
}

impl Moment {
    /// The proof opens a session: nothing else does.
    fn signs_in(&mut self, first: &FirstUse) {
        let token = &mut self.tokens[usize::from(first.challenge().as_bytes()[0])];
        token.as_mut().expect("it was issued").sessions += 1;
    }

    fn twice(&self) -> bool {
        self.tokens.iter().flatten().any(|token| token.sessions > 1)
    }

    fn draw(&self) -> Drawn {
        let (nodes, views) = (self.nodes.iter().map(|node| node.life), self.servers.iter().map(|view| view.life));
        Drawn::beyond(nodes.chain(views).chain(self.tokens.iter().flatten().map(|token| token.life)))
    }

    fn renumber(&mut self, scheme: Scheme) {
        let nodes = self.nodes.iter_mut().map(|node| &mut node.life);
        let views = self.servers.iter_mut().map(|view| &mut view.life);
        renumber(scheme, nodes.chain(views).chain(self.tokens.iter_mut().flatten().map(|token| &mut token.life)));
    }
}

/// The challenge of the token with that number.
fn challenge(token: usize) -> ChallengeId {
    ChallengeId::from_bytes([u8::try_from(token).expect("there are few tokens"); 32])
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// A token that opens two sessions.
    Twice,
    /// A login that succeeds after a failover.
    LoginAfterFailover,
}

/// The name of the property that no token opens two sessions.
pub(super) const AT_MOST_ONCE: &str = "no token opens two sessions";
/// The name of the property that there is a login after a failover.
pub(super) const STILL_WORKS: &str = "a login succeeds after a failover";

/// A store with a scheme, and the faults that it meets.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) scheme: Scheme,
    pub(super) faults: Faults,
    pub(super) tokens: usize,
    pub(super) question: Question,
}

impl World {
    /// Changes the state; whether this can happen in it.
    fn happens(&self, now: &mut Moment, action: Action) -> bool {
        match action {
            Action::Issue(server) => self.issue(now, server as usize),
            Action::Redeem(server, token) => self.redeem(now, server as usize, token),
            Action::Acknowledge(server) => acknowledge(now, server as usize),
            Action::Learn(server, node) => self.learn(now, server as usize, node),
            Action::Copy(from, to) => copy(now, from, to),
            fault => self.goes_wrong(now, fault),
        }
    }

    fn issue(&self, now: &mut Moment, server: usize) -> bool {
        let view = now.servers[server];
        let Some(token) = (0..self.tokens).find(|token| now.tokens[*token].is_none()) else { return false };
        if !now.nodes[view.at].serves() {
            return false;
        }
        let drawn = now.draw();
        let node = &mut now.nodes[view.at];
        let read = node.read_life(self.scheme, drawn);
        let life = if self.scheme == Scheme::ReplidOfConnection { view.life } else { read };
        node.issued(self.scheme, token);
        now.tokens[token] = Some(Token { life, sessions: 0 });
        true
    }

    fn redeem(&self, now: &mut Moment, server: usize, token: usize) -> bool {
        let (view, node) = (now.servers[server], now.servers[server].at);
        let Some(named) = now.tokens[token].map(|token| token.life) else { return false };
        if !now.nodes[node].serves() || view.waiting.is_some() {
            return false;
        }
        let outcome = if self.scheme == Scheme::ReplidOfConnection && view.life != named {
            Outcome::OtherIncarnation
        } else {
            now.nodes[node].mark(self.scheme, token, named)
        };
        let Ok(first) = settle(&challenge(token), outcome) else { return false };
        if self.scheme == Scheme::WaitForOne {
            now.servers[server].waiting = Some(token);
        } else {
            now.signs_in(&first);
            now.signed_in_after |= node != FIRST_PRIMARY && self.question == Question::LoginAfterFailover;
        }
        true
    }

    fn learn(&self, now: &mut Moment, server: usize, node: usize) -> bool {
        if !now.nodes[node].serves() {
            return false;
        }
        let connected = self.scheme == Scheme::ReplidOfConnection;
        let drawn = now.draw();
        let life = if connected { now.nodes[node].read_life(self.scheme, drawn) } else { Life::default() };
        let view = View { at: node, life, waiting: None };
        std::mem::replace(&mut now.servers[server], view) != view
    }

    fn goes_wrong(&self, now: &mut Moment, fault: Action) -> bool {
        let scheme = self.scheme;
        let others_serve = |now: &Moment, node| (0..NODES).any(|other| other != node && now.nodes[other].serves());
        let possible = match fault {
            Action::Crash(node) => now.nodes[node].up,
            Action::Start(node) => !now.nodes[node].up,
            Action::StartEmpty(node) => self.faults.loss && !now.nodes[node].up,
            Action::StartFromEarlier(node) => self.faults.rollback && !now.nodes[node].up,
            Action::Promote(node) => {
                let vacant = self.faults.split_brain || !others_serve(now, node);
                now.nodes[node].up && !now.nodes[node].primary && vacant
            }
            Action::Demote(node) => now.nodes[node].serves() && others_serve(now, node),
            Action::Flush(node) => self.faults.flush && now.nodes[node].serves(),
            _ => false,
        };
        let costs = !matches!(fault, Action::Start(_) | Action::Demote(_));
        if !possible || (costs && Some(now.faults) == self.faults.at_most) {
            return false;
        }
        now.faults += u8::from(costs && self.faults.at_most.is_some());
        let drawn = now.draw();
        match fault {
            Action::Crash(node) => {
                now.nodes[node].up = false;
                // Whoever waited for this node does not know what became of the mark, and signs nobody in.
                now.servers.iter_mut().filter(|view| view.at == node).for_each(|view| view.waiting = None);
            }
            Action::Start(node) | Action::StartEmpty(node) | Action::StartFromEarlier(node) => {
                let replaced = others_serve(now, node) && !self.faults.split_brain;
                let started = &mut now.nodes[node];
                match fault {
                    Action::StartEmpty(_) => started.lost(),
                    Action::StartFromEarlier(_) => started.forgot(),
                    _ => {}
                }
                started.primary &= !replaced;
                started.started(scheme, drawn);
            }
            Action::Promote(node) => now.nodes[node].promoted(scheme, drawn),
            Action::Demote(node) => now.nodes[node].primary = false,
            Action::Flush(node) => now.nodes[node].flushed(),
            _ => {}
        }
        true
    }
}

fn acknowledge(now: &mut Moment, server: usize) -> bool {
    let View { at, waiting: Some(token), .. } = now.servers[server] else { return false };
    if !now.nodes.iter().enumerate().any(|(n, node)| n != at && node.up && !node.primary && node.keeps(token)) {
        return false;
    }
    now.servers[server].waiting = None;
    settle(&challenge(token), Outcome::Inserted).is_ok_and(|first| {
        now.signs_in(&first);
        true
    })
}

fn copy(now: &mut Moment, from: usize, to: usize) -> bool {
    let primary = now.nodes[from];
    let replica = &mut now.nodes[to];
    let follows = primary.serves() && replica.up && !replica.primary;
    if follows {
        replica.copy(&primary);
    }
    follows
}

impl Model for World {
    type State = Moment;
    type Action = Action;

    fn init_states(&self) -> Vec<Moment> {
        let view = View { at: 0, life: Life::default(), waiting: None };
        let mut first = Moment {
            nodes: std::array::from_fn(|node| Node::new(self.scheme, node == FIRST_PRIMARY)),
            servers: [view; 2],
            tokens: [None; TOKENS],
            faults: 0,
            signed_in_after: false,
        };
        first.renumber(self.scheme);
        vec![first]
    }

    fn actions(&self, _: &Moment, actions: &mut Vec<Action>) {
        for server in [Server::A, Server::B] {
            actions.extend([Action::Issue(server), Action::Acknowledge(server)]);
            actions.extend((0..self.tokens).map(|token| Action::Redeem(server, token)));
            actions.extend((0..NODES).map(|node| Action::Learn(server, node)));
        }
        for node in 0..NODES {
            actions.extend([Action::Crash(node), Action::Start(node), Action::StartEmpty(node)]);
            actions.extend([Action::StartFromEarlier(node), Action::Promote(node)]);
            actions.extend([Action::Demote(node), Action::Flush(node)]);
            actions.extend((0..NODES).map(|to| Action::Copy(node, to)));
        }
    }

    fn next_state(&self, last: &Moment, action: Action) -> Option<Moment> {
        let mut next = *last;
        self.happens(&mut next, action).then(|| {
            next.renumber(self.scheme);
            next
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let at_most_once = Property::always(AT_MOST_ONCE, |_: &Self, now: &Moment| !now.twice());
        let still_works = Property::sometimes(STILL_WORKS, |_: &Self, now: &Moment| now.signed_in_after);
        match self.question {
            Question::Twice => vec![at_most_once],
            Question::LoginAfterFailover => vec![still_works],
        }
    }
}
