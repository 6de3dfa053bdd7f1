//! The DHT on top of the node: how it is set up, what it delivers, and what it
//! is asked besides sending.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use prost::Message;
use serde_json::{json, Value};
use tari_comms::{
    peer_manager::NodeId,
    pipeline::{self, SinkService},
    protocol::{messaging::MessagingProtocolExtension, ProtocolId},
    types::CommsPublicKey,
    UnspawnedCommsNode,
};
use tari_comms_dht::{
    domain_message::MessageHeader, envelope::NodeDestination, inbound::DecryptedDhtMessage, Dht, DhtConfig,
};
use tari_shutdown::ShutdownSignal;
use tari_utilities::hex::Hex;
use tokio::sync::{broadcast, mpsc};
use tower::ServiceBuilder;

use crate::{
    console,
    node::Node,
    release::{self, Error},
};

/// What differs from the library's own profile for local tests.
pub struct Settings {
    forwarding: Option<bool>,
    occurrences: Option<usize>,
    flood_limit: Option<usize>,
    update: Option<Duration>,
    find: Option<Duration>,
    join: bool,
    discovery: bool,
    ask_stored: bool,
    file: Option<PathBuf>,
    /// How many messages each pipeline works on; more than one swaps them.
    tasks: usize,
    /// Whether to write a line for each message delivered.
    pub print: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            forwarding: None,
            occurrences: None,
            flood_limit: None,
            update: None,
            find: None,
            join: false,
            discovery: false,
            ask_stored: false,
            file: None,
            tasks: 4,
            print: true,
        }
    }
}

impl Settings {
    /// Takes an option whose name begins with `--dht-`.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "forwarding" => self.forwarding = Some(value.parse()?),
            "occurrences" => self.occurrences = Some(value.parse()?),
            "flood-limit" => self.flood_limit = Some(value.parse()?),
            "update-seconds" => self.update = Some(Duration::from_secs(value.parse()?)),
            "find-seconds" => self.find = Some(Duration::from_secs(value.parse()?)),
            "join" => self.join = value.parse()?,
            "discovery" => self.discovery = value.parse()?,
            "ask-stored" => self.ask_stored = value.parse()?,
            "file" => self.file = Some(value.into()),
            "tasks" => self.tasks = value.parse()?,
            "print" => self.print = value.parse()?,
            _ => return Err(format!("unknown option --dht-{name}").into()),
        }
        Ok(())
    }

    fn config(&self, own: &NodeId) -> Result<DhtConfig, Error> {
        let mut config = DhtConfig::default_local_test();
        config.database_url = match &self.file {
            Some(file) => release::DbConnectionUrl::File(file.clone()),
            None => release::DbConnectionUrl::MemoryShared(own.to_hex()),
        };
        config.auto_join = self.join;
        config.network_discovery.enabled = self.discovery;
        if let Some(n) = self.occurrences {
            config.dedup_allowed_message_occurrences = n;
        }
        if let Some(n) = self.flood_limit {
            config.flood_ban_max_msg_count = n;
        }
        if let Some(interval) = self.update {
            config.connectivity.update_interval = interval;
        }
        if let Some(limit) = self.find {
            config.discovery_request_timeout = limit;
        }
        release::forward(&mut config, self.forwarding)?;
        release::ask_stored(&mut config, self.ask_stored)?;
        Ok(config)
    }
}

/// Puts the DHT between the messaging protocol and `delivered`.
pub async fn attach(
    settings: &Settings,
    unspawned: UnspawnedCommsNode,
    shutdown: ShutdownSignal,
    messaging: ProtocolId,
    delivered: mpsc::Sender<DecryptedDhtMessage>,
) -> Result<(UnspawnedCommsNode, Dht), Error> {
    let identity = unspawned.node_identity();
    let config = settings.config(identity.node_id())?;
    let (requests, requests_rx) = release::request_channel(&config);
    let dht = Dht::builder()
        .with_config(config)
        .with_outbound_sender(requests)
        .build(identity, unspawned.peer_manager(), unspawned.connectivity(), shutdown)
        .await?;
    let outbound = dht.outbound_middleware_layer();
    let pipeline = pipeline::Builder::new()
        .with_outbound_pipeline(requests_rx, move |sink| ServiceBuilder::new().layer(outbound).service(sink))
        .max_concurrent_outbound_tasks(settings.tasks)
        .with_inbound_pipeline(
            ServiceBuilder::new()
                .layer(dht.inbound_middleware_layer())
                .service(SinkService::new(delivered)),
        )
        .max_concurrent_inbound_tasks(settings.tasks)
        .build();
    let (events, _) = broadcast::channel(100);
    let extension = MessagingProtocolExtension::new(messaging, events, pipeline).enable_message_received_event();
    Ok((unspawned.add_protocol_extension(extension), dht))
}

/// Takes a delivered message apart: who sent it and its body, if it is one of
/// the domain's. Writes a line for it if `print` says so.
pub fn take(message: DecryptedDhtMessage, print: bool) -> Option<(NodeId, Bytes)> {
    let header = &message.dht_header;
    let mut line = json!({
        "event": "delivered",
        "source": message.source_peer.node_id.to_hex(),
        "origin": message.authenticated_origin.as_ref().map(Hex::to_hex),
        "dht_type": header.message_type as i32,
        "destination": header.destination.public_key().map(Hex::to_hex),
        "encrypted": message.is_encrypted(),
        "tag": header.message_tag.as_value(),
        "expires": header.expires.map(|at| at.as_u64()),
        "hash": message.dedup_hash.to_hex(),
        "hits": message.dedup_hit_count,
        "stored": message.is_saf_message,
    });
    let source = message.source_peer.node_id.clone();
    let mut taken = None;
    match domain(message) {
        Ok((header, body)) => {
            line["type"] = json!(header.message_type);
            line["nonce"] = json!(header.nonce);
            if print {
                line["body"] = json!(hex(&body));
            }
            taken = Some((source, Bytes::from(body)));
        },
        Err(reason) => line["not_domain"] = json!(reason.to_string()),
    }
    if print {
        console::line(line);
    }
    taken
}

/// The library writes nothing above 256 KiB.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn domain(message: DecryptedDhtMessage) -> Result<(MessageHeader, Vec<u8>), Error> {
    let envelope = message.decryption_result.map_err(|_| "not decrypted")?;
    let mut parts = envelope.into_inner().into_iter();
    let header = parts.next().ok_or("no header")?;
    let body = parts.next().ok_or("no body")?;
    Ok((MessageHeader::decode(header.as_slice())?, body))
}

/// How often a message arrived, by its dedup hash.
pub async fn hits(node: &Node, hash: &str) -> Result<Value, Error> {
    let hash = Vec::<u8>::from_hex(hash).map_err(|e| format!("hash: {e:?}"))?;
    let hits = node.dht()?.dht_requester().get_message_cache_hit_count(hash).await?;
    Ok(json!({ "hits": hits }))
}

pub async fn join(node: &Node) -> Result<Value, Error> {
    node.dht()?.dht_requester().send_join().await?;
    Ok(json!({}))
}

/// Looks for a peer by its key, and answers with what it said of itself.
pub async fn find(node: &Node, key: CommsPublicKey) -> Result<Value, Error> {
    let destination = NodeDestination::PublicKey(Box::new(key.clone()));
    let found = node.dht()?.discovery_service_requester().discover_peer(key, destination).await?;
    Ok(json!({
        "node_id": found.node_id.to_hex(),
        "addresses": found.addresses.address_iter().map(|a| a.to_string()).collect::<Vec<_>>(),
    }))
}
