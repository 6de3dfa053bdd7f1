//! Builds the node.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use serde_json::{json, Value};
use tari_comms::{
    backoff::ConstantBackoff,
    connectivity::{ConnectivityEvent, ConnectivityRequester},
    message::InboundMessage,
    multiaddr::Multiaddr,
    peer_manager::{NodeId, PeerFeatures},
    pipeline::{self, SinkService},
    protocol::{messaging::MessagingProtocolExtension, rpc::RpcServerHandle, ProtocolId},
    transports::TcpTransport,
    types::CommsSecretKey,
    CommsBuilder, CommsNode, NodeIdentity, PeerConnection, PeerManager,
};
use tari_comms_dht::Dht;
use tari_shutdown::Shutdown;
use tari_utilities::hex::Hex;
use tokio::sync::{broadcast, mpsc};

use std::sync::Arc;

use crate::{
    bench, console, dht, messages,
    release::{self, Error, Outbound},
    rpc, streams,
};

/// Options are given as pairs: `--wire-byte 16 --key <hex>`.
pub struct Options {
    wire_byte: u8,
    secret: Option<CommsSecretKey>,
    listen: Multiaddr,
    public: Option<Multiaddr>,
    user_agent: String,
    messaging: String,
    rpc: rpc::Limits,
    count_only: bool,
    /// How often to ask the public address for liveness.
    liveness: Option<Duration>,
    features: PeerFeatures,
    /// Whether the DHT has the messaging protocol.
    dht: bool,
    dht_settings: dht::Settings,
    pub log: String,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Error> {
        let mut options = Options {
            wire_byte: 0x10,
            secret: None,
            listen: "/ip4/127.0.0.1/tcp/0".parse()?,
            public: None,
            user_agent: format!("tari/interop/{}", release::RELEASE),
            messaging: "t/msg/0.1".to_string(),
            rpc: rpc::Limits::default(),
            count_only: false,
            liveness: None,
            features: PeerFeatures::COMMUNICATION_NODE,
            dht: false,
            dht_settings: dht::Settings::default(),
            log: "off".to_string(),
        };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--wire-byte" => options.wire_byte = value.parse()?,
                "--key" => {
                    options.secret = Some(CommsSecretKey::from_hex(&value).map_err(|e| format!("--key: {e:?}"))?)
                },
                "--listen" => options.listen = value.parse()?,
                "--public" => options.public = Some(value.parse()?),
                "--user-agent" => options.user_agent = value,
                "--messaging" => options.messaging = value,
                "--rpc-sessions" => options.rpc.sessions = Some(value.parse()?),
                "--rpc-sessions-per-peer" => options.rpc.sessions_per_peer = Some(value.parse()?),
                "--rpc-idle-seconds" => options.rpc.idle = Some(Duration::from_secs(value.parse()?)),
                "--count-only" => options.count_only = value.parse()?,
                "--liveness-ms" => options.liveness = Some(Duration::from_millis(value.parse()?)),
                "--features" => {
                    options.features = PeerFeatures::from_bits(value.parse()?).ok_or("--features: unknown bits")?
                },
                "--dht" => options.dht = value.parse()?,
                "--log" => options.log = value,
                name => match name.strip_prefix("--dht-") {
                    Some(setting) => options.dht_settings.set(setting, &value)?,
                    None => return Err(format!("unknown option {name}").into()),
                },
            }
        }
        Ok(options)
    }
}

/// A running node, as the commands see it.
pub struct Node {
    pub identity: Arc<NodeIdentity>,
    /// Where it listens, which may not be what it tells its peers.
    bound: Multiaddr,
    pub manager: Arc<PeerManager>,
    pub connectivity: ConnectivityRequester,
    /// Of plain messages; None while the DHT has the protocol.
    outbound: Option<Outbound>,
    dht: Option<Dht>,
    pub inbox: messages::Inbox,
    pub flood: bench::Flood,
    pub echoed: streams::Echoed,
    pub served: rpc::Served,
    pub rpc_server: RpcServerHandle,
    pub rpc_sessions: rpc::Sessions,
    /// The connections that this node dialled: the last handle would close one.
    pub held: Mutex<HashMap<NodeId, PeerConnection>>,
    /// The node itself, until it is waited for.
    comms: Mutex<Option<CommsNode>>,
    shutdown: Mutex<Shutdown>,
}

impl Node {
    pub fn identity(&self) -> Value {
        json!({
            "release": release::RELEASE,
            "key": self.identity.public_key().to_hex(),
            "node_id": self.identity.node_id().to_hex(),
            "listening": self.bound.to_string(),
            "addresses": self.identity.public_addresses().iter().map(|a| a.to_string()).collect::<Vec<_>>(),
        })
    }

    pub fn plain(&self) -> Result<Outbound, Error> {
        self.outbound.clone().ok_or_else(|| "no plain messages: the DHT has the protocol".into())
    }

    pub fn dht(&self) -> Result<&Dht, Error> {
        self.dht.as_ref().ok_or_else(|| "no DHT: start the node with --dht true".into())
    }

    /// What the node says of its public address.
    pub fn liveness(&self) -> Value {
        let status = self.comms.lock().unwrap().as_ref().map(|comms| format!("{:?}", comms.liveness_status()));
        json!({ "status": status })
    }

    /// Ends the node.
    pub async fn stop(&self) {
        self.shutdown.lock().unwrap().trigger();
        let comms = self.comms.lock().unwrap().take();
        if let Some(comms) = comms {
            comms.wait_until_shutdown().await;
        }
    }
}

/// Builds and starts the node; it listens when this returns.
pub async fn start(options: Options) -> Result<Node, Error> {
    let secret = options.secret.unwrap_or_else(release::random_secret);
    let identity = Arc::new(NodeIdentity::new(
        secret,
        // What it checks for liveness is what it has when it starts.
        vec![options.public.clone().unwrap_or_else(|| options.listen.clone())],
        options.features,
    ));
    let shutdown = Shutdown::new();
    let builder = CommsBuilder::new()
        .with_shutdown_signal(shutdown.to_signal())
        .with_node_identity(identity.clone())
        .with_listener_address(options.listen)
        .with_dial_backoff(ConstantBackoff::new(Duration::from_millis(100)))
        .with_node_info(release::network_info(options.wire_byte, options.user_agent))
        .allow_test_addresses()
        .disable_connection_reaping();
    let builder = release::check_liveness(builder, options.liveness);
    let builder = match options.dht {
        true => builder.with_min_connectivity(1),
        false => builder,
    };
    let unspawned = release::finish_builder(builder, &identity)?.build()?;

    let (streams_tx, streams_rx) = mpsc::channel(100);
    let served = rpc::Served::default();
    let rpc_server = options.rpc.server()?;
    let rpc_handle = rpc_server.get_handle();
    let rpc_server = rpc_server.add_service(rpc::TestServer::new(served.clone()));
    let unspawned = unspawned.add_protocol([streams::echo_protocol()], &streams_tx);

    let messaging = ProtocolId::from(options.messaging.into_bytes());
    let queue = match options.count_only {
        true => messages::COUNTING_QUEUE,
        false => messages::QUEUE,
    };
    let (unspawned, outbound, dht, inbox) = if options.dht {
        let (inbound_tx, inbound_rx) = mpsc::channel(queue);
        let settings = options.dht_settings;
        let (unspawned, dht) = dht::attach(&settings, unspawned, shutdown.to_signal(), messaging, inbound_tx).await?;
        let unspawned = unspawned.add_rpc_server(rpc_server.add_service(dht.rpc_service()));
        let inbox = match options.count_only {
            true => messages::Inbox::count(inbound_rx),
            false => messages::Inbox::consume(inbound_rx, move |message| dht::take(message, settings.print)),
        };
        (unspawned, None, Some(dht), inbox)
    } else {
        let (inbound_tx, inbound_rx) = mpsc::channel(queue);
        let (outbound, outbound_rx) = release::outbound_channel();
        let (events_tx, _) = broadcast::channel(100);
        // With more than one task a node swaps its own messages.
        let pipeline = pipeline::Builder::new()
            .with_outbound_pipeline(outbound_rx, |sink| sink)
            .max_concurrent_outbound_tasks(1)
            .with_inbound_pipeline(SinkService::new(inbound_tx))
            .max_concurrent_inbound_tasks(1)
            .build();
        let unspawned = unspawned
            .add_rpc_server(rpc_server)
            .add_protocol_extension(MessagingProtocolExtension::new(messaging, events_tx, pipeline));
        let inbox = match options.count_only {
            true => messages::Inbox::count(inbound_rx),
            false => messages::Inbox::consume(inbound_rx, |message: InboundMessage| {
                Some((message.source_peer, message.body))
            }),
        };
        (unspawned, Some(outbound), None, inbox)
    };
    let mut comms = unspawned
        .spawn_with_transport(TcpTransport::new())
        .await?;
    // Until the port is known the node's claim names port 0, for which it would
    // be banned.
    let listener = comms.connection_manager_requester().wait_until_listening().await?;
    let bound = listener.bind_address().clone();
    identity.set_public_addresses(vec![options.public.unwrap_or_else(|| bound.clone())]);
    tokio::spawn(report(comms.connectivity().get_event_subscription()));

    let node = Node {
        identity,
        bound,
        manager: comms.peer_manager(),
        connectivity: comms.connectivity(),
        outbound,
        dht,
        inbox,
        flood: bench::Flood::default(),
        echoed: streams::Echoed::serve(streams_rx),
        served,
        rpc_server: rpc_handle,
        rpc_sessions: rpc::Sessions::default(),
        held: Mutex::new(HashMap::new()),
        shutdown: Mutex::new(shutdown),
        comms: Mutex::new(Some(comms)),
    };
    Ok(node)
}

/// Writes an event for each connection made and lost, and for each ban.
async fn report(mut events: broadcast::Receiver<ConnectivityEvent>) {
    loop {
        match events.recv().await {
            Ok(ConnectivityEvent::PeerConnected(connection)) => console::line(json!({
                "event": "connected",
                "node_id": connection.peer_node_id().to_hex(),
                "direction": connection.direction().to_string().to_lowercase(),
            })),
            Ok(ConnectivityEvent::PeerBanned(peer)) => {
                console::line(json!({ "event": "banned", "node_id": peer.to_hex() }))
            },
            Ok(event) => {
                if let Some(peer) = release::disconnected(&event) {
                    console::line(json!({ "event": "disconnected", "node_id": peer.to_hex() }));
                }
            },
            Err(broadcast::error::RecvError::Lagged(_)) => {},
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
