//! Numbered messages: sending them with a window, and counting what arrives.
//!
//! A message of eight bytes or more begins with its number, big-endian; byte i
//! of the rest is the low byte of number + i.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, Mutex,
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{stream::FuturesUnordered, StreamExt};
use serde_json::{json, Value};
use tari_comms::{
    message::OutboundMessage,
    peer_manager::NodeId,
};
use tari_utilities::hex::Hex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::release::{self, Error, Outbound};

/// How many messages wait for the consumer outside the library.
pub const QUEUE: usize = 1;

/// The same when they are only counted.
pub const COUNTING_QUEUE: usize = 1000;

pub fn numbered(number: u64, size: usize) -> Bytes {
    let mut body: Vec<u8> = number.to_be_bytes().into_iter().take(size).collect();
    body.extend((8..size).map(|i| (number as usize).wrapping_add(i) as u8));
    body.into()
}

fn number(body: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(body.get(..8)?.try_into().ok()?))
}

/// What to send: `count` messages of `size` bytes, the first with number
/// `first`, at most `window` of them without a reply of the library.
pub struct Batch {
    pub first: u64,
    pub count: u64,
    pub size: usize,
    pub window: usize,
}

/// Sends and waits for all replies. A reply "sent" means that the library has
/// written the message, or with the older release has begun to.
pub async fn send(outbound: &Outbound, peer: NodeId, batch: Batch) -> Result<Value, Error> {
    let begin = Instant::now();
    let mut replies = FuturesUnordered::new();
    let (mut sent, mut failed) = (0u64, BTreeMap::<String, u64>::new());
    let mut tally = |reply: Result<Result<(), _>, oneshot::error::RecvError>| match reply {
        Ok(Ok(())) => sent += 1,
        Ok(Err(reason)) => {
            let reason: tari_comms::protocol::messaging::SendFailReason = reason;
            *failed.entry(reason.to_string()).or_default() += 1
        },
        Err(_) => *failed.entry("no reply".to_string()).or_default() += 1,
    };
    for number in batch.first..batch.first + batch.count {
        while replies.len() >= batch.window.max(1) {
            if let Some(reply) = replies.next().await {
                tally(reply);
            }
        }
        let (reply_tx, reply_rx) = oneshot::channel();
        let body = numbered(number, batch.size);
        release::put(outbound, OutboundMessage::with_reply(peer.clone(), body, reply_tx.into())).await?;
        replies.push(reply_rx);
    }
    while let Some(reply) = replies.next().await {
        tally(reply);
    }
    Ok(json!({ "sent": sent, "failed": failed, "ms": begin.elapsed().as_millis() as u64 }))
}

/// What has arrived of one peer.
#[derive(Default)]
struct Arrived {
    count: u64,
    bytes: u64,
    damaged: u64,
    /// How often each size below eight arrived.
    short: BTreeMap<usize, u64>,
    /// The numbers in order of arrival, as runs (first, how many).
    runs: Vec<(u64, u64)>,
}

impl Arrived {
    fn add(&mut self, body: &[u8]) {
        self.count += 1;
        self.bytes += body.len() as u64;
        let Some(number) = number(body) else {
            *self.short.entry(body.len()).or_default() += 1;
            return;
        };
        if *body != numbered(number, body.len()) {
            self.damaged += 1;
        }
        match self.runs.last_mut() {
            Some((first, n)) if *first + *n == number => *n += 1,
            _ => self.runs.push((number, 1)),
        }
    }
}

/// The consumer of inbound messages, which can be slowed down and stopped.
pub struct Inbox {
    arrived: Arc<Mutex<HashMap<NodeId, Arrived>>>,
    paused: watch::Sender<bool>,
    delay: watch::Sender<Duration>,
    begin: Instant,
    counted: Arc<Counted>,
}

/// What was only counted, with the times of the first and the last.
#[derive(Default)]
struct Counted {
    count: AtomicU64,
    first_us: AtomicU64,
    last_us: AtomicU64,
}

impl Inbox {
    /// Keeps account of what arrives. `take` says who sent a message and its
    /// body; what it returns None for does not count.
    pub fn consume<T: Send + 'static>(
        mut messages: mpsc::Receiver<T>,
        take: impl Fn(T) -> Option<(NodeId, Bytes)> + Send + 'static,
    ) -> Self {
        let (paused, mut until_resumed) = watch::channel(false);
        let (delay, pause_between) = watch::channel(Duration::ZERO);
        let arrived = Arc::new(Mutex::new(HashMap::<NodeId, Arrived>::new()));
        let counters = arrived.clone();
        tokio::spawn(async move {
            loop {
                if until_resumed.wait_for(|paused| !paused).await.is_err() {
                    return;
                }
                let Some(message) = messages.recv().await else { return };
                if let Some((source, body)) = take(message) {
                    counters.lock().unwrap().entry(source).or_default().add(&body);
                }
                let delay = *pause_between.borrow();
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
            }
        });
        Inbox {
            arrived,
            paused,
            delay,
            begin: Instant::now(),
            counted: Arc::default(),
        }
    }

    /// Only counts what arrives, of all peers together.
    pub fn count<T: Send + 'static>(mut messages: mpsc::Receiver<T>) -> Self {
        let (_, none) = mpsc::channel::<()>(1);
        let inbox = Inbox::consume(none, |_| None);
        let (counted, begin) = (inbox.counted.clone(), inbox.begin);
        tokio::spawn(async move {
            while messages.recv().await.is_some() {
                let us = begin.elapsed().as_micros() as u64;
                counted.last_us.store(us, Ordering::Relaxed);
                if counted.count.fetch_add(1, Ordering::Relaxed) == 0 {
                    counted.first_us.store(us, Ordering::Relaxed);
                }
            }
        });
        inbox
    }

    /// What was only counted, and when that was so.
    pub fn counted(&self) -> Value {
        json!({
            "count": self.counted.count.load(Ordering::Relaxed),
            "first_us": self.counted.first_us.load(Ordering::Relaxed),
            "last_us": self.counted.last_us.load(Ordering::Relaxed),
            "us": self.begin.elapsed().as_micros() as u64,
        })
    }

    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Waits so long after each message.
    pub fn slow(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Forgets what has arrived so far.
    pub fn clear(&self) {
        self.arrived.lock().unwrap().clear();
    }

    pub fn of(&self, peer: &NodeId) -> Value {
        let all = self.arrived.lock().unwrap();
        let none = Arrived::default();
        let a = all.get(peer).unwrap_or(&none);
        json!({
            "peer": peer.to_hex(), "count": a.count, "bytes": a.bytes, "damaged": a.damaged,
            "short": a.short.iter().map(|(size, n)| (size.to_string(), *n)).collect::<BTreeMap<_, _>>(),
            "runs": a.runs,
        })
    }

    pub fn total(&self) -> u64 {
        self.arrived.lock().unwrap().values().map(|a| a.count).sum()
    }
}
