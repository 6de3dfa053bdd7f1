//! Messages of the DHT: to whom, how sealed, and how each copy ended.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{future, stream::FuturesUnordered, StreamExt};
use serde_json::{json, Value};
use tari_comms::{peer_manager::NodeId, types::CommsPublicKey};
use tari_comms_dht::{
    domain_message::OutboundDomainMessage,
    envelope::{DhtMessageType, NodeDestination},
    outbound::{MessageSendState, MessageSendStates, OutboundEncryption, OutboundMessageRequester, SendMessageParams},
};

use crate::{
    messages::{self, Batch},
    release::{self, Error, Raw},
};

/// Whom the DHT is to send to.
#[derive(Clone)]
pub enum To {
    Key(CommsPublicKey),
    Node(NodeId),
    Selected(Vec<NodeId>),
    Broadcast,
    Flood,
    Random(usize),
    Closest(NodeId),
    ClosestConnected(NodeId),
    Propagate(Option<CommsPublicKey>),
}

#[derive(Clone)]
pub enum Seal {
    Clear,
    /// In clear text with the node's signature.
    Signed,
    EncryptedFor(CommsPublicKey),
}

/// All of a message but its body.
#[derive(Clone)]
pub struct Letter {
    pub to: To,
    pub exclude: Vec<NodeId>,
    pub seal: Seal,
    /// What the header says; the strategy does not go by it.
    pub destination: Option<CommsPublicKey>,
    /// Look for the peer if it is unknown.
    pub discovery: bool,
    pub message_type: i32,
    /// A message of the DHT itself: its body is the only part, without a type of the domain.
    pub dht_type: Option<DhtMessageType>,
}

/// What the DHT's own messages for stored messages are called.
pub fn dht_type(name: &str) -> Result<DhtMessageType, Error> {
    match name {
        "stored_request" => Ok(DhtMessageType::SafRequestMessages),
        "stored_messages" => Ok(DhtMessageType::SafStoredMessages),
        other => Err(format!("unknown message of the DHT {other:?}").into()),
    }
}

fn destination(key: &Option<CommsPublicKey>) -> NodeDestination {
    match key {
        Some(key) => NodeDestination::PublicKey(Box::new(key.clone())),
        None => NodeDestination::Unknown,
    }
}

impl Letter {
    fn params(&self) -> Result<SendMessageParams, Error> {
        let mut params = SendMessageParams::new();
        let exclude = self.exclude.clone();
        match self.to.clone() {
            To::Key(key) => params.direct_public_key(key),
            To::Node(id) => params.direct_node_id(id),
            To::Selected(ids) => params.selected_peers(ids),
            To::Broadcast => params.broadcast(exclude),
            To::Flood => params.flood(exclude),
            To::Random(n) => params.random(n),
            To::Closest(id) => release::closest(&mut params, id, exclude)?,
            To::ClosestConnected(id) => release::closest_connected(&mut params, id, exclude)?,
            To::Propagate(key) => params.propagate(destination(&key), exclude),
        };
        params.with_destination(destination(&self.destination)).with_discovery(self.discovery);
        if let Some(kind) = self.dht_type {
            params.with_dht_message_type(kind);
        }
        match &self.seal {
            Seal::Clear => &mut params,
            Seal::Signed => params.force_origin(),
            Seal::EncryptedFor(key) => params.with_encryption(OutboundEncryption::encrypt_for(key.clone())),
        };
        Ok(params)
    }

    /// Hands one message to the DHT. The copies that it answers with are queued,
    /// not sent; what it refuses to send has a reason.
    async fn queue(
        &self,
        mut dht: OutboundMessageRequester,
        body: Bytes,
    ) -> Result<Result<MessageSendStates, String>, Error> {
        let params = self.params()?.finish();
        let queued = match self.dht_type {
            Some(_) => dht.send_message_no_header(params, Raw(body)).await?,
            None => dht.send_message(params, OutboundDomainMessage::new(&self.message_type, Raw(body))).await?,
        };
        Ok(queued.resolve().await.map_err(|refused| refused.to_string()))
    }
}

const SENT: &str = "sent";

/// Waits for the end of a copy; "sent" means that the library has written it, or
/// with the older release has begun to.
async fn ended(copy: MessageSendState) -> String {
    match copy.wait_for_result().await {
        Ok(Ok(())) => SENT.to_string(),
        Ok(Err(reason)) => reason.to_string(),
        Err(_) => "no reply".to_string(),
    }
}

/// Sends one message and says how each copy ended, as far as `limit` lets it.
pub async fn send(dht: OutboundMessageRequester, letter: Letter, body: Bytes, limit: Duration) -> Result<Value, Error> {
    let copies = match letter.queue(dht, body).await? {
        Ok(states) => states.into_inner(),
        Err(refused) => return Ok(json!({ "queued": 0, "copies": [], "refused": refused })),
    };
    let queued = copies.len();
    let ends = future::join_all(copies.into_iter().map(|copy| async move {
        let tag = copy.tag.as_value();
        let ended = tokio::time::timeout(limit, ended(copy)).await;
        json!({ "tag": tag, "ended": ended.unwrap_or_else(|_| "waiting".to_string()) })
    }))
    .await;
    Ok(json!({ "queued": queued, "copies": ends }))
}

/// Sends numbered messages as fast as it can.
pub async fn batch(dht: OutboundMessageRequester, letter: Letter, batch: Batch) -> Result<Value, Error> {
    let numbers = batch.first..batch.first + batch.count;
    pour(dht, letter, numbers.map(|number| messages::numbered(number, batch.size)), batch.window).await
}

/// Sends messages without end, until it is told to stop.
pub async fn flood(
    dht: OutboundMessageRequester,
    letter: Letter,
    size: usize,
    window: usize,
    over: Arc<AtomicBool>,
) -> Result<Value, Error> {
    let bodies = std::iter::repeat(Bytes::from(vec![7; size]));
    pour(dht, letter, bodies.take_while(|_| !over.load(Ordering::Relaxed)), window).await
}

/// Sends bodies with at most `window` messages under way. The first goes alone:
/// until it is written there is no substream, and the library keeps fewer.
async fn pour(
    dht: OutboundMessageRequester,
    letter: Letter,
    bodies: impl Iterator<Item = Bytes>,
    window: usize,
) -> Result<Value, Error> {
    let begin = Instant::now();
    let mut under_way = FuturesUnordered::new();
    let (mut sent, mut failed) = (0u64, BTreeMap::<String, u64>::new());
    let mut tally = |ends: Result<Vec<String>, Error>| -> Result<(), Error> {
        for end in ends? {
            match end.as_str() {
                SENT => sent += 1,
                _ => *failed.entry(end).or_default() += 1,
            }
        }
        Ok(())
    };
    let mut limit = 1;
    for body in bodies {
        while under_way.len() >= limit {
            if let Some(ends) = under_way.next().await {
                tally(ends)?;
            }
            limit = window.max(1);
        }
        let (dht, letter) = (dht.clone(), &letter);
        under_way.push(async move {
            Ok(match letter.queue(dht, body).await? {
                Ok(states) => future::join_all(states.into_inner().into_iter().map(ended)).await,
                Err(refused) => vec![refused],
            })
        });
    }
    while let Some(ends) = under_way.next().await {
        tally(ends)?;
    }
    Ok(json!({ "sent": sent, "failed": failed, "ms": begin.elapsed().as_millis() as u64 }))
}
