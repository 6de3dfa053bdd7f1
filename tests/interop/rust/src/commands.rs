//! Maps lines to what the node does. A new subject, such as the DHT, is a
//! file of its own and its lines here.

use std::{sync::Arc, time::Duration};

use serde_json::{json, Value};
use tari_comms::{multiaddr::Multiaddr, peer_manager::NodeId, protocol::ProtocolId, types::CommsPublicKey};
use tari_utilities::hex::Hex;

use crate::{
    bench, console, dht,
    letters::{self, Letter, Seal, To},
    lists,
    messages::{self, Batch},
    node::Node,
    peers,
    release::{self, Error},
    rpc, streams,
};

pub async fn run(node: Arc<Node>, line: &str) {
    let answer = match serde_json::from_str(line) {
        Ok(args) => {
            let args = Args(args);
            let id = args.0["id"].clone();
            match command(&node, &args).await {
                Ok(ok) => json!({ "id": id, "ok": ok }),
                Err(e) => json!({ "id": id, "error": e.to_string() }),
            }
        },
        Err(e) => json!({ "id": null, "error": format!("not JSON: {e}") }),
    };
    console::line(answer);
}

async fn command(node: &Node, args: &Args) -> Result<Value, Error> {
    match args.text("cmd")? {
        "identity" => Ok(node.identity()),
        "add_peer" => peers::add(node, args.key()?, args.text("address")?.parse::<Multiaddr>()?).await,
        "dial" => peers::dial(node, args.peer()?).await,
        "disconnect" => peers::disconnect(node, args.peer()?).await,
        "ban" => {
            let seconds = Duration::from_secs(args.number("seconds")?);
            peers::ban(node, args.peer()?, seconds, "asked for").await
        },
        "unban" => peers::unban(node, args.peer()?).await,
        "peer" => peers::record(node, args.peer()?).await,
        "connections" => peers::connections(node).await,
        "send" => {
            messages::send(&node.plain()?, args.peer()?, args.batch()?).await
        },
        "received" => Ok(node.inbox.of(&args.peer()?)),
        "clear" => {
            node.inbox.clear();
            Ok(json!({}))
        },
        "pause" => {
            node.inbox.pause(true);
            Ok(json!({}))
        },
        "resume" => {
            node.inbox.pause(false);
            Ok(json!({}))
        },
        "slow" => {
            node.inbox.slow(Duration::from_micros(args.number("microseconds")?));
            Ok(json!({}))
        },
        "open" => {
            let protocol = ProtocolId::from(args.text("protocol")?.as_bytes().to_vec());
            let mut connection = peers::connection(node, &args.peer()?).await?;
            streams::open(&mut connection, protocol, args.number("size")? as usize).await
        },
        "flood" => {
            let (size, window) = (args.number("size")? as usize, args.number("window")? as usize);
            let (outbound, peer) = (node.plain()?, args.peer()?);
            Ok(node.flood.start(|over| bench::flood(outbound, peer, size, window, over)))
        },
        "flood_stop" => node.flood.stop().await,
        "counted" => Ok(node.inbox.counted()),
        "connects" => bench::connects(node, args.peer()?, args.number("count")?).await,
        "usage" => Ok(bench::usage()),
        "rpc_open" => {
            let connection = peers::connection(node, &args.peer()?).await?;
            let waits = rpc::Waits {
                deadline: args.milliseconds("deadline_ms")?,
                grace: args.milliseconds("grace_ms")?,
                handshake: args.milliseconds("handshake_ms")?,
            };
            node.rpc_sessions.open(connection, waits).await
        },
        "rpc_hello" => rpc::hello(args.session(node)?, args.text("name")?).await,
        "rpc_echo" => rpc::echo(args.session(node)?, args.number("size")? as usize).await,
        "rpc_blob" => rpc::blob(args.session(node)?, args.number("size")? as usize).await,
        "rpc_items" => {
            let ask = rpc::Items {
                count: args.number("count")?,
                size: args.number("size")?,
                pause_us: args.optional("pause_us")?.unwrap_or(0),
                fail_after: args.optional("fail_after")?.unwrap_or(0),
            };
            rpc::items(args.session(node)?, ask, args.optional("take")?).await
        },
        "rpc_wait" => rpc::wait(args.session(node)?, args.number("ms")?, args.milliseconds("give_up_ms")?).await,
        "rpc_fail" => rpc::fail(args.session(node)?, args.number("status")? as u32, args.text("details")?).await,
        "rpc_ping" => rpc::ping(args.session(node)?).await,
        "rpc_connected" => Ok(rpc::connected(args.session(node)?)),
        "rpc_close" => node.rpc_sessions.close(args.number("session")?).await,
        "rpc_served" => node.served.stats(node.rpc_server.clone()).await,
        "dht_send" => {
            let body = Vec::<u8>::from_hex(args.text("body")?).map_err(|e| format!("body: {e:?}"))?;
            let limit = args.milliseconds("limit_ms")?.unwrap_or(Duration::from_secs(60));
            letters::send(node.dht()?.outbound_requester(), args.letter()?, body.into(), limit).await
        },
        "dht_batch" => letters::batch(node.dht()?.outbound_requester(), args.letter()?, args.batch()?).await,
        "dht_flood" => {
            let (size, window) = (args.number("size")? as usize, args.number("window")? as usize);
            let (dht, letter) = (node.dht()?.outbound_requester(), args.letter()?);
            Ok(node.flood.start(|over| letters::flood(dht, letter, size, window, over)))
        },
        "dht_hits" => dht::hits(node, args.text("hash")?).await,
        "dht_join" => dht::join(node).await,
        "dht_find" => dht::find(node, args.key()?).await,
        "dht_peers" => {
            let ask = lists::Ask {
                closer: args.flag("closer"),
                n: args.number("n")? as u32,
                clients: args.flag("clients"),
                claims: args.optional("claims")?.unwrap_or(5) as u32,
                addresses: args.optional("addresses")?.unwrap_or(5) as u32,
            };
            lists::ask(peers::connection(node, &args.peer()?).await?, ask).await
        },
        "dht_ask_stored" => {
            release::ask_stored_of(node.dht()?, args.peer()?).await?;
            Ok(json!({}))
        },
        "liveness" => Ok(node.liveness()),
        "stats" => Ok(json!({
            "connections": peers::connections(node).await?,
            "received": node.inbox.total(),
            "echo": node.echoed.stats(),
        })),
        other => Err(format!("unknown command {other:?}").into()),
    }
}

/// The arguments of one command.
struct Args(Value);

impl Args {
    fn text(&self, name: &str) -> Result<&str, Error> {
        self.0[name].as_str().ok_or_else(|| format!("{name} is not a string").into())
    }

    fn number(&self, name: &str) -> Result<u64, Error> {
        self.0[name].as_u64().ok_or_else(|| format!("{name} is not a number").into())
    }

    fn optional(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.0[name] {
            Value::Null => Ok(None),
            _ => self.number(name).map(Some),
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or(false)
    }

    fn milliseconds(&self, name: &str) -> Result<Option<Duration>, Error> {
        Ok(self.optional(name)?.map(Duration::from_millis))
    }

    fn session(&self, node: &Node) -> Result<rpc::TestClient, Error> {
        node.rpc_sessions.get(self.number("session")?)
    }

    /// Peers are named by their public keys.
    fn key(&self) -> Result<CommsPublicKey, Error> {
        key("peer", self.text("peer")?)
    }

    fn optional_key(&self, name: &str) -> Result<Option<CommsPublicKey>, Error> {
        match self.0[name] {
            Value::Null => Ok(None),
            _ => key(name, self.text(name)?).map(Some),
        }
    }

    /// The node ids of a list of keys, which may be left out.
    fn node_ids(&self, name: &str) -> Result<Vec<NodeId>, Error> {
        let keys = match &self.0[name] {
            Value::Null => return Ok(Vec::new()),
            Value::Array(keys) => keys,
            _ => return Err(format!("{name} is not a list").into()),
        };
        let id = |text: &Value| Ok(release::node_id(&key(name, text.as_str().unwrap_or(""))?));
        keys.iter().map(id).collect()
    }

    fn batch(&self) -> Result<Batch, Error> {
        Ok(Batch {
            first: self.number("first")?,
            count: self.number("count")?,
            size: self.number("size")? as usize,
            window: self.number("window")? as usize,
        })
    }

    /// To whom a message of the DHT goes and how. An encrypted one is for `for`,
    /// which its header then names too unless `destination` does; without either
    /// it is for `peer`.
    fn letter(&self) -> Result<Letter, Error> {
        let to = match self.text("to")? {
            "key" => To::Key(self.key()?),
            "node" => To::Node(self.peer()?),
            "selected" => To::Selected(self.node_ids("peers")?),
            "broadcast" => To::Broadcast,
            "flood" => To::Flood,
            "random" => To::Random(self.number("n")? as usize),
            "closest" => To::Closest(self.peer()?),
            "closest_connected" => To::ClosestConnected(self.peer()?),
            "propagate" => To::Propagate(self.optional_key("peer")?),
            other => return Err(format!("unknown strategy {other:?}").into()),
        };
        let mut destination = self.optional_key("destination")?;
        let seal = match self.0["seal"].as_str().unwrap_or("clear") {
            "clear" => Seal::Clear,
            "signed" => Seal::Signed,
            "encrypted" => {
                let reader = match self.optional_key("for")? {
                    Some(key) => key,
                    None => self.key()?,
                };
                destination = destination.or(Some(reader.clone()));
                Seal::EncryptedFor(reader)
            },
            other => return Err(format!("unknown seal {other:?}").into()),
        };
        let message_type = self.0["type"].as_i64().ok_or("type is not a number")?;
        let dht_type = match self.0["dht_type"].as_str() {
            Some(name) => Some(letters::dht_type(name)?),
            None => None,
        };
        Ok(Letter {
            to,
            exclude: self.node_ids("exclude")?,
            seal,
            destination,
            discovery: self.flag("discovery"),
            message_type: message_type.try_into()?,
            dht_type,
        })
    }

    fn peer(&self) -> Result<NodeId, Error> {
        Ok(release::node_id(&self.key()?))
    }
}

fn key(name: &str, text: &str) -> Result<CommsPublicKey, Error> {
    CommsPublicKey::from_hex(text).map_err(|e| format!("{name}: {e:?}").into())
}
