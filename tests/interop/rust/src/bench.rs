//! What the benchmarks ask for: messages without end, connections one after
//! another, and what the process has used.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex,
    },
    time::Instant,
};

use bytes::Bytes;
use serde_json::{json, Value};
use tari_comms::{message::OutboundMessage, peer_manager::NodeId};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    node::Node,
    release::{self, Error, Outbound},
};

/// Sends messages until it is told to stop.
#[derive(Default)]
pub struct Flood(Mutex<Option<(Arc<AtomicBool>, JoinHandle<Result<Value, Error>>)>>);

impl Flood {
    /// Starts what sends until it is over.
    pub fn start<F>(&self, send: impl FnOnce(Arc<AtomicBool>) -> F) -> Value
    where F: Future<Output = Result<Value, Error>> + Send + 'static {
        let over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(send(over.clone()));
        *self.0.lock().unwrap() = Some((over, task));
        json!({})
    }

    pub async fn stop(&self) -> Result<Value, Error> {
        let running = self.0.lock().unwrap().take();
        let (over, task) = running.ok_or("no flood")?;
        over.store(true, Ordering::Relaxed);
        task.await?
    }
}

/// Sends plain messages with at most `window` of them without a reply of the
/// library.
pub async fn flood(
    outbound: Outbound,
    peer: NodeId,
    size: usize,
    window: usize,
    over: Arc<AtomicBool>,
) -> Result<Value, Error> {
    let body = Bytes::from(vec![7; size]);
    // They come in the order of the messages: there is one outbound task.
    let mut replies = VecDeque::with_capacity(window);
    let mut started = false;
    let (mut sent, mut failed) = (0u64, BTreeMap::<String, u64>::new());
    let mut tally = |reply: Result<Result<(), tari_comms::protocol::messaging::SendFailReason>, _>| match reply {
        Ok(Ok(())) => sent += 1,
        Ok(Err(reason)) => *failed.entry(reason.to_string()).or_default() += 1,
        Err(oneshot::error::RecvError { .. }) => *failed.entry("no reply".to_string()).or_default() += 1,
    };
    while !over.load(Ordering::Relaxed) {
        // Until the first is written the library keeps fewer: it has no substream.
        if replies.len() >= if started { window } else { 1 } {
            started = true;
            let first: oneshot::Receiver<_> = replies.pop_front().ok_or("a window of 0")?;
            tally(first.await);
            while let Some(Ok(reply)) = replies.front_mut().map(oneshot::Receiver::try_recv) {
                replies.pop_front();
                tally(Ok(reply));
            }
        }
        let (reply_tx, reply_rx) = oneshot::channel();
        release::put(&outbound, OutboundMessage::with_reply(peer.clone(), body.clone(), reply_tx.into())).await?;
        replies.push_back(reply_rx);
    }
    for reply in replies {
        tally(reply.await);
    }
    Ok(json!({ "sent": sent, "failed": failed }))
}

/// Connects and disconnects so many times. What fails is tried again, up to as
/// often: the other side may not have noticed yet that the last one is over.
pub async fn connects(node: &Node, peer: NodeId, count: u64) -> Result<Value, Error> {
    let begin = Instant::now();
    let (mut done, mut failed) = (0, 0);
    while done < count {
        let connected = match release::dial(&node.connectivity, peer.clone()).await {
            Ok(mut connection) => release::disconnect(&mut connection).await,
            Err(e) => Err(e),
        };
        match connected {
            Ok(()) => done += 1,
            Err(e) if failed == count => return Err(e),
            Err(_) => failed += 1,
        }
    }
    Ok(json!({ "failed": failed, "us": begin.elapsed().as_micros() as u64 }))
}

/// User and system time of this process so far.
pub fn usage() -> Value {
    // SAFETY: getrusage fills in what it is given, and zeros are a value of it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    json!({ "cpu_us": us(usage.ru_utime) + us(usage.ru_stime) })
}
