//! The client of the DHT's service `t/dht/1`, which hands out peers. The library
//! of the older release does not export its own.

use std::time::Instant;

use futures::StreamExt;
use serde_json::{json, Value};
// The macro of the older release wants Response in scope.
#[allow(unused_imports)]
use tari_comms::{
    protocol::rpc::{Request, Response, RpcError, RpcStatus, Streaming},
    PeerConnection,
};
use tari_comms_rpc_macros::tari_rpc;
use tari_utilities::hex::Hex;

use crate::release::Error;

// Only its client is used.
#[allow(dead_code)]
#[tari_rpc(protocol_name = b"t/dht/1", server_struct = ListServer, client_struct = ListClient)]
pub trait Lists: Send + Sync + 'static {
    #[rpc(method = 1)]
    async fn get_closer_peers(&self, request: Request<CloserPeers>) -> Result<Streaming<Listed>, RpcStatus>;
    #[rpc(method = 10)]
    async fn get_peers(&self, request: Request<Peers>) -> Result<Streaming<Listed>, RpcStatus>;
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct CloserPeers {
    #[prost(uint32, tag = "1")]
    pub n: u32,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub excluded: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    pub closer_to: Vec<u8>,
    #[prost(bool, tag = "4")]
    pub include_clients: bool,
    #[prost(uint32, tag = "5")]
    pub max_claims: u32,
    #[prost(uint32, tag = "6")]
    pub max_addresses_per_claim: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Peers {
    #[prost(uint32, tag = "1")]
    pub n: u32,
    #[prost(bool, tag = "2")]
    pub include_clients: bool,
    #[prost(uint32, tag = "3")]
    pub max_claims: u32,
    #[prost(uint32, tag = "4")]
    pub max_addresses_per_claim: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Listed {
    #[prost(message, optional, tag = "1")]
    pub peer: Option<ListedPeer>,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct ListedPeer {
    #[prost(bytes = "vec", tag = "1")]
    pub public_key: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub claims: Vec<ListedClaim>,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct ListedClaim {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub addresses: Vec<Vec<u8>>,
    #[prost(uint32, tag = "2")]
    pub peer_features: u32,
    #[prost(message, optional, tag = "3")]
    pub identity_signature: Option<ListedSignature>,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct ListedSignature {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub public_nonce: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub updated_at: i64,
}

/// A request for peers: the closest ones if `closer` says so.
pub struct Ask {
    pub closer: bool,
    pub n: u32,
    pub clients: bool,
    pub claims: u32,
    pub addresses: u32,
}

/// Asks in a session of its own, and answers with the keys of the peers and how
/// many claims of each there were.
pub async fn ask(mut connection: PeerConnection, ask: Ask) -> Result<Value, Error> {
    let begin = Instant::now();
    let mut client = connection.connect_rpc::<ListClient>().await?;
    let call = match ask.closer {
        true => {
            client
                .get_closer_peers(CloserPeers {
                    n: ask.n,
                    excluded: Vec::new(),
                    closer_to: Vec::new(),
                    include_clients: ask.clients,
                    max_claims: ask.claims,
                    max_addresses_per_claim: ask.addresses,
                })
                .await
        },
        false => {
            client
                .get_peers(Peers {
                    n: ask.n,
                    include_clients: ask.clients,
                    max_claims: ask.claims,
                    max_addresses_per_claim: ask.addresses,
                })
                .await
        },
    };
    let (mut peers, mut status, mut details) = (Vec::new(), 0, String::new());
    match call {
        Ok(mut stream) => loop {
            match stream.next().await {
                Some(Ok(listed)) => {
                    let peer = listed.peer.ok_or("an item without a peer")?;
                    peers.push(json!({ "key": peer.public_key.to_hex(), "claims": peer.claims.len() }));
                },
                // A status in the older release, whatever went wrong.
                Some(Err(e)) => match RpcError::from(e) {
                    RpcError::RequestFailed(e) => {
                        (status, details) = (e.as_code(), e.details().to_string());
                        break;
                    },
                    e => return Err(e.into()),
                },
                None => break,
            }
        },
        Err(RpcError::RequestFailed(e)) => (status, details) = (e.as_code(), e.details().to_string()),
        Err(e) => return Err(e.into()),
    }
    client.close().await;
    Ok(json!({
        "peers": peers, "status": status, "details": details, "us": begin.elapsed().as_micros() as u64,
    }))
}
