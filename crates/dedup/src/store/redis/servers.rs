//! The servers: who has which hash slot, connections to them, and the way of many commands to
//! them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::Value;

use super::super::{BatchRef, StoreError, StoreFault};
use super::call::{Call, bytes, number, parts, text};
use super::connect::{Conn, ConnName, ServerFacts};
use super::fault::{code_in, error_of, fault_of};
use super::options::{RedisOptions, named};
use super::script::Script;

/// Connections to one server that are kept open while nobody uses them.
const IDLE_MAX: usize = 16;
/// How often a call is sent again after a connection that broke.
const BROKEN_MAX: u32 = 2;

/// One server.
struct Node {
    host: String,
    port: u16,
    idle: Mutex<Vec<Conn>>,
    broken: Mutex<Vec<Broken>>,
}

/// A connection that broke with commands under way, and for which batch.
struct Broken {
    name: ConnName,
    batch: Option<BatchRef>,
}

/// Who has which slots.
#[derive(Default)]
struct Routes(Vec<(u16, u16, Arc<Node>)>);

/// The servers of a store.
pub(super) struct Servers {
    pub(super) options: RedisOptions,
    place: String,
    routes: RwLock<Arc<Routes>>,
    nodes: Mutex<BTreeMap<(String, u16), Arc<Node>>>,
}

/// A call that still has to be sent, by index, and the server that was named for it alone.
struct Todo {
    index: usize,
    asking: Option<Arc<Node>>,
}

/// What a round of sending left.
#[derive(Default)]
struct Round {
    again: Vec<Todo>,
    /// Slots have moved.
    moved: bool,
    /// Something passes by itself.
    wait: bool,
    /// A connection broke.
    broke: bool,
    why: Option<StoreError>,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").field("place", &self.place).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers {
    /// Connects to one of them and learns of the others.
    pub(super) fn connect(options: RedisOptions) -> Result<Self, StoreError> {
        let place = options.servers.place();
        let servers = Self {
            options,
            place,
            routes: RwLock::new(Arc::default()),
            nodes: Mutex::new(BTreeMap::new()),
        };
        servers.learn()?;
        for node in servers.all() {
            servers.give_back(&node, servers.take(&node)?);
        }
        Ok(servers)
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    fn node(&self, host: &str, port: u16) -> Arc<Node> {
        let mut nodes = lock(&self.nodes);
        let node = nodes.entry((host.to_owned(), port)).or_insert_with(|| {
            Arc::new(Node {
                host: host.to_owned(),
                port,
                idle: Mutex::default(),
                broken: Mutex::default(),
            })
        });
        Arc::clone(node)
    }

    fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The servers that have slots.
    fn all(&self) -> Vec<Arc<Node>> {
        let mut all: Vec<Arc<Node>> = Vec::new();
        for (_, _, node) in &self.routes().0 {
            if !all.iter().any(|known| Arc::ptr_eq(known, node)) {
                all.push(Arc::clone(node));
            }
        }
        all
    }

    /// Asks the servers who has which slots.
    fn learn(&self) -> Result<(), StoreError> {
        let found = if self.options.servers.cluster {
            self.cluster_slots()?
        } else {
            let mut addresses = self.options.servers.addresses.iter();
            let nodes = addresses.next().map(|(host, port)| self.node(host, *port));
            Routes(nodes.into_iter().map(|node| (0, u16::MAX, node)).collect())
        };
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        // What a server that has no slots any more was told is void, and so is what it still hears.
        let kept = self.all();
        lock(&self.nodes).retain(|_, node| kept.iter().any(|kept| Arc::ptr_eq(kept, node)));
        Ok(())
    }

    fn cluster_slots(&self) -> Result<Routes, StoreError> {
        let mut known: Vec<_> = self.all();
        for (host, port) in &self.options.servers.addresses {
            known.push(self.node(host, *port));
        }
        let mut why = None;
        for node in known {
            match self.slots_by(&node) {
                Ok(routes) if !routes.0.is_empty() => return Ok(routes),
                Ok(_) => {}
                Err(error) if error.fault == StoreFault::Refused => return Err(error),
                Err(error) => why = Some(error),
            }
        }
        Err(why.unwrap_or_else(|| self.away("no server of the cluster has any slots")))
    }

    fn slots_by(&self, node: &Arc<Node>) -> Result<Routes, StoreError> {
        let mut conn = self.take(node)?;
        let place = named(&node.host, node.port);
        let call = Call::of(0, &["CLUSTER", "SLOTS"]);
        let answer = conn.send(&call).and_then(|()| conn.connection.recv_response());
        let answer = answer.map_err(|error| error_of(&place, "CLUSTER SLOTS", &error))?;
        let mut routes = Routes::default();
        for range in parts(&answer) {
            let [from, to, owner, ..] = parts(range) else { continue };
            let (Some(from), Some(to)) = (number(from), number(to)) else { continue };
            let [host, port, ..] = parts(owner) else { continue };
            // A server that doesn't know its own address means the one that it was reached by.
            let host = text(host).filter(|host| !host.is_empty()).unwrap_or(&node.host);
            let port = number(port).and_then(|port| u16::try_from(port).ok()).unwrap_or(node.port);
            let (Ok(from), Ok(to)) = (u16::try_from(from), u16::try_from(to)) else { continue };
            routes.0.push((from, to, self.node(host, port)));
        }
        self.give_back(node, conn);
        Ok(routes)
    }

    fn away(&self, what: impl fmt::Display) -> StoreError {
        StoreError::new(StoreFault::Away, &self.place, what)
    }

    /// A connection to use. Whatever broke before is fenced first: what it had sent is never
    /// carried out after what is sent now.
    fn take(&self, node: &Node) -> Result<Conn, StoreError> {
        let idle = lock(&node.idle).pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => Conn::open(&self.options, &node.host, node.port)?,
        };
        let mut broken = lock(&node.broken);
        if !broken.is_empty() {
            let place = named(&node.host, node.port);
            // The rest of the idle ones broke with it, most likely.
            lock(&node.idle).clear();
            for broken in broken.iter() {
                if conn.fence(&place, &broken.name).is_err() {
                    conn = Conn::open(&self.options, &node.host, node.port)?;
                    conn.fence(&place, &broken.name)?;
                }
            }
            broken.clear();
        }
        Ok(conn)
    }

    fn give_back(&self, node: &Node, conn: Conn) {
        let mut idle = lock(&node.idle);
        if idle.len() < IDLE_MAX {
            idle.push(conn);
        }
    }

    /// Makes sure that nothing that was sent for the batch on a connection that broke is still
    /// under way.
    pub(super) fn fence(&self, batch: BatchRef) -> Result<(), StoreError> {
        let nodes: Vec<_> = lock(&self.nodes).values().cloned().collect();
        for node in nodes {
            if lock(&node.broken).iter().any(|broken| broken.batch == Some(batch)) {
                let conn = self.take(&node)?;
                self.give_back(&node, conn);
            }
        }
        Ok(())
    }

    /// What each server says of itself.
    pub(super) fn facts(&self) -> Result<Vec<ServerFacts>, StoreError> {
        let mut facts = Vec::new();
        for node in self.all() {
            let mut conn = self.take(&node)?;
            facts.push(conn.facts(&named(&node.host, node.port))?);
            self.give_back(&node, conn);
        }
        Ok(facts)
    }

    /// Sends the calls, all at once, and brings their answers in the same order. A call may be
    /// carried out twice.
    pub(super) fn run(
        &self,
        calls: &[Call],
        batch: Option<BatchRef>,
    ) -> Result<Vec<Value>, StoreError> {
        let limit = Duration::from_millis(self.options.call_timeout_ms.max(1));
        let started = Instant::now();
        let mut answers = vec![Value::Nil; calls.len()];
        let mut todo: Vec<_> = (0..calls.len()).map(|index| Todo { index, asking: None }).collect();
        let mut broke = 0;
        let mut pause = Duration::from_millis(2);
        loop {
            let round = self.round(calls, todo, &mut answers, batch)?;
            if round.again.is_empty() {
                return Ok(answers);
            }
            broke += u32::from(round.broke);
            if broke >= BROKEN_MAX || started.elapsed() >= limit {
                return Err(round.why.unwrap_or_else(|| self.away("its slots keep moving")));
            }
            if round.wait || round.broke {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(100));
            }
            if round.moved || round.broke {
                self.learn()?;
            }
            todo = round.again;
        }
    }

    fn owner(&self, routes: &Routes, slot: u16) -> Result<Arc<Node>, StoreError> {
        let mut ranges = routes.0.iter();
        let range = ranges.find(|(from, to, _)| (*from..=*to).contains(&slot));
        let none = || self.away(format_args!("no server of the cluster has slot {slot}"));
        range.map(|(_, _, node)| Arc::clone(node)).ok_or_else(none)
    }

    fn round(
        &self,
        calls: &[Call],
        todo: Vec<Todo>,
        answers: &mut [Value],
        batch: Option<BatchRef>,
    ) -> Result<Round, StoreError> {
        let routes = self.routes();
        let mut round = Round::default();
        let mut groups: Vec<(Arc<Node>, Vec<Todo>)> = Vec::new();
        for todo in todo {
            let slot = calls.get(todo.index).map_or(0, |call| call.slot);
            let node = match &todo.asking {
                Some(node) => Arc::clone(node),
                None => match self.owner(&routes, slot) {
                    Ok(node) => node,
                    Err(error) => {
                        (round.moved, round.wait, round.why) = (true, true, Some(error));
                        round.again.push(todo);
                        continue;
                    }
                },
            };
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &node)) {
                Some((_, group)) => group.push(todo),
                None => groups.push((node, vec![todo])),
            }
        }
        let mut sent = Vec::new();
        for (node, group) in groups {
            match self.send(&node, calls, &group, batch) {
                Ok(conn) => sent.push((node, group, conn)),
                Err(error) if error.fault == StoreFault::Away && self.options.servers.cluster => {
                    (round.broke, round.why) = (true, Some(error));
                    round.again.extend(group.into_iter().map(|t| Todo { asking: None, ..t }));
                }
                Err(error) => return Err(error),
            }
        }
        let mut failed = None;
        for (node, group, conn) in sent {
            let failure = self.receive(&node, conn, calls, group, answers, batch, &mut round);
            failed = failed.or(failure.err());
        }
        failed.map_or(Ok(round), Err)
    }

    fn send(
        &self,
        node: &Node,
        calls: &[Call],
        group: &[Todo],
        batch: Option<BatchRef>,
    ) -> Result<Conn, StoreError> {
        let place = named(&node.host, node.port);
        // An idle connection may have been closed meanwhile: that is seen at the first try.
        for last in [false, true] {
            let mut conn = self.take(node)?;
            let result = group.iter().try_for_each(|todo| {
                if todo.asking.is_some() {
                    conn.send(&Call::of(0, &["ASKING"]))?;
                }
                calls.get(todo.index).map_or(Ok(()), |call| conn.send(call))
            });
            match result {
                Ok(()) => return Ok(conn),
                Err(error) => {
                    lock(&node.broken).push(Broken { name: conn.name, batch });
                    if last || error.is_timeout() {
                        return Err(error_of(&place, "sending", &error));
                    }
                }
            }
        }
        Err(self.away("sending"))
    }

    /// Takes the answers of a group. What is to be sent again is added to the round; the first
    /// refusal that stays is the error, once all answers are in.
    #[allow(clippy::too_many_arguments, reason = "one step of `round`, split off")]
    fn receive(
        &self,
        node: &Arc<Node>,
        mut conn: Conn,
        calls: &[Call],
        group: Vec<Todo>,
        answers: &mut [Value],
        batch: Option<BatchRef>,
        round: &mut Round,
    ) -> Result<(), StoreError> {
        let place = named(&node.host, node.port);
        let mut unknown: Vec<&'static Script> = Vec::new();
        let mut failed = None;
        let mut group = group.into_iter();
        while let Some(todo) = group.next() {
            let mut answer = conn.connection.recv_response();
            if todo.asking.is_some() && answer.is_ok() {
                answer = conn.connection.recv_response();
            }
            let (code, detail) = match answer {
                Ok(Value::ServerError(error)) => {
                    (error.code().to_owned(), error.details().unwrap_or_default().to_owned())
                }
                Ok(value) => {
                    if let Some(answer) = answers.get_mut(todo.index) {
                        *answer = value;
                    }
                    continue;
                }
                Err(error) => {
                    lock(&node.broken).push(Broken { name: conn.name, batch });
                    let why = error_of(&place, "waiting for an answer", &error);
                    if error.is_timeout() || why.fault != StoreFault::Away {
                        return Err(why);
                    }
                    (round.broke, round.why) = (true, Some(why));
                    let rest = std::iter::once(todo).chain(group);
                    round.again.extend(rest.map(|todo| Todo { asking: None, ..todo }));
                    return failed.map_or(Ok(()), Err);
                }
            };
            let index = todo.index;
            let mut asking = None;
            match code.as_str() {
                "NOSCRIPT" => unknown.extend(calls.get(index).and_then(|call| call.script)),
                "MOVED" => round.moved = true,
                "ASK" => asking = redirection(&detail).map(|(host, port)| self.node(host, port)),
                "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" => round.wait = true,
                other => {
                    let other = code_in(other, &detail);
                    let what = format_args!("{code} {detail}");
                    let error = StoreError::new(fault_of(other), &place, what);
                    failed = failed.or(Some(error));
                    continue;
                }
            }
            let why = StoreError::new(StoreFault::Away, &place, format_args!("{code} {detail}"));
            round.why = Some(why);
            round.again.push(Todo { index, asking });
        }
        load(&mut conn, &place, unknown)?;
        self.give_back(node, conn);
        failed.map_or(Ok(()), Err)
    }
}

/// Makes scripts known to a server.
fn load(conn: &mut Conn, place: &str, mut scripts: Vec<&'static Script>) -> Result<(), StoreError> {
    scripts.sort_by(|a, b| a.hash.cmp(&b.hash));
    scripts.dedup_by(|a, b| a.hash == b.hash);
    for script in scripts {
        let said = conn.ask(place, &["SCRIPT", "LOAD", &script.code])?;
        if said != script.hash {
            let what = "it names scripts otherwise than Redis and Valkey do";
            return Err(StoreError::new(StoreFault::Refused, place, what));
        }
    }
    Ok(())
}

/// The server in `slot host:port`.
fn redirection(detail: &str) -> Option<(&str, u16)> {
    let (_, address) = detail.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

/// The first part of an answer.
pub(super) fn verdict(answer: &Value) -> &str {
    let first = parts(answer).first().and_then(bytes);
    first.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}
