//! What the node knows of its peers, and its connections with them.

use std::time::Duration;

use serde_json::{json, Value};
use tari_comms::{
    multiaddr::Multiaddr,
    net_address::{MultiaddressesWithStats, PeerAddressSource},
    peer_manager::{NodeId, Peer, PeerFeatures, PeerFlags},
    types::CommsPublicKey,
    PeerConnection,
};
use tari_utilities::hex::Hex;

use crate::{
    node::Node,
    release::{self, Error},
};

pub async fn add(node: &Node, key: CommsPublicKey, address: Multiaddr) -> Result<Value, Error> {
    let id = release::node_id(&key);
    let peer = Peer::new(
        key,
        id.clone(),
        MultiaddressesWithStats::from_addresses_with_source(vec![address], &PeerAddressSource::Config),
        PeerFlags::empty(),
        PeerFeatures::COMMUNICATION_NODE,
        vec![],
        String::new(),
    );
    release::add_peer(&node.manager, peer).await?;
    Ok(json!({ "node_id": id.to_hex() }))
}

pub async fn dial(node: &Node, peer: NodeId) -> Result<Value, Error> {
    let connection = release::dial(&node.connectivity, peer.clone()).await?;
    let answer = describe(&connection);
    // The surviving connection, which a crossed one may have replaced.
    node.held.lock().unwrap().insert(peer, connection);
    Ok(answer)
}

/// The connection to use: the one that was dialled while it lives, else that of
/// the pool.
pub async fn connection(node: &Node, peer: &NodeId) -> Result<PeerConnection, Error> {
    if let Some(held) = node.held.lock().unwrap().get(peer) {
        if held.is_connected() {
            return Ok(held.clone());
        }
    }
    let found = release::connection(&mut node.connectivity.clone(), peer.clone()).await?;
    found.filter(|c| c.is_connected()).ok_or_else(|| "not connected".into())
}

pub async fn disconnect(node: &Node, peer: NodeId) -> Result<Value, Error> {
    let mut connection = connection(node, &peer).await?;
    node.held.lock().unwrap().remove(&peer);
    release::disconnect(&mut connection).await?;
    Ok(json!({}))
}

pub async fn ban(node: &Node, peer: NodeId, duration: Duration, reason: &str) -> Result<Value, Error> {
    node.connectivity.clone().ban_peer_until(peer, duration, reason).await?;
    Ok(json!({}))
}

pub async fn unban(node: &Node, peer: NodeId) -> Result<Value, Error> {
    node.manager.unban_peer(&peer).await?;
    Ok(json!({}))
}

/// What is stored about a peer, with its ban.
pub async fn record(node: &Node, id: NodeId) -> Result<Value, Error> {
    let Some(peer) = node.manager.find_by_node_id(&id).await? else {
        return Ok(json!({ "known": false, "banned": false }));
    };
    Ok(json!({
        "known": true,
        "key": peer.public_key.to_hex(),
        "features": peer.features.bits(),
        "user_agent": peer.user_agent,
        "protocols": peer.supported_protocols.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect::<Vec<_>>(),
        "addresses": peer.addresses.address_iter().map(|a| a.to_string()).collect::<Vec<_>>(),
        "banned": peer.is_banned(),
        "ban_reason": peer.banned_reason,
        "banned_for": peer.banned_until.map(|until| (until - chrono::Utc::now().naive_utc()).num_seconds()).unwrap_or(0),
    }))
}

pub async fn connections(node: &Node) -> Result<Value, Error> {
    let all = node.connectivity.clone().get_active_connections().await?;
    Ok(all.iter().filter(|c| c.is_connected()).map(describe).collect())
}

fn describe(connection: &PeerConnection) -> Value {
    json!({
        "node_id": connection.peer_node_id().to_hex(),
        "direction": connection.direction().to_string().to_lowercase(),
        "address": connection.address().to_string(),
        "features": connection.peer_features().bits(),
        "substreams": connection.substream_count(),
    })
}
