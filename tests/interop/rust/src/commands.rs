//! Maps lines to what the node does. A new subject, such as the DHT, is a
//! file of its own and its lines here.

use std::{sync::Arc, time::Duration};

use serde_json::{json, Value};
use tari_comms::{multiaddr::Multiaddr, peer_manager::NodeId, protocol::ProtocolId, types::CommsPublicKey};
use tari_utilities::hex::Hex;

use crate::{
    bench, console,
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
            let batch = Batch {
                first: args.number("first")?,
                count: args.number("count")?,
                size: args.number("size")? as usize,
                window: args.number("window")? as usize,
            };
            messages::send(&node.outbound, args.peer()?, batch).await
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
            Ok(node.flood.start(node.outbound.clone(), args.peer()?, size, window))
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

    fn milliseconds(&self, name: &str) -> Result<Option<Duration>, Error> {
        Ok(self.optional(name)?.map(Duration::from_millis))
    }

    fn session(&self, node: &Node) -> Result<rpc::TestClient, Error> {
        node.rpc_sessions.get(self.number("session")?)
    }

    /// Peers are named by their public keys.
    fn key(&self) -> Result<CommsPublicKey, Error> {
        CommsPublicKey::from_hex(self.text("peer")?).map_err(|e| format!("peer: {e:?}").into())
    }

    fn peer(&self) -> Result<NodeId, Error> {
        Ok(release::node_id(&self.key()?))
    }
}
