//! All that differs between the releases of tari_comms.

use bytes::{Buf, BufMut, Bytes};

#[cfg(not(feature = "release-6"))]
pub use rc5::*;
#[cfg(feature = "release-6")]
pub use six::*;

/// A message that is sent as it is.
#[derive(Debug, Default)]
pub struct Raw(pub Bytes);

impl prost::Message for Raw {
    #[cfg(feature = "release-rc5")]
    fn encode_raw<B: BufMut>(&self, buf: &mut B) {
        buf.put_slice(&self.0);
    }

    #[cfg(not(feature = "release-rc5"))]
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(feature = "release-rc5")]
    fn merge_field<B: Buf>(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut B,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Err(prost::DecodeError::new("only sent"))
    }

    #[cfg(not(feature = "release-rc5"))]
    fn merge_field(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut impl Buf,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Err(prost::DecodeError::new("only sent"))
    }
}

#[cfg(feature = "release-6")]
mod six {
    pub use tari_common_sqlite::connection::DbConnectionUrl;

    use std::{sync::Arc, time::Duration};

    use tari_common_sqlite::connection::DbConnection;
    use tari_comms::{
        connectivity::{ConnectivityEvent, ConnectivityRequester},
        message::OutboundMessage,
        peer_manager::{
            database::{PeerDatabaseSql, MIGRATIONS},
            NodeId, Peer, PeerManager,
        },
        protocol::{rpc::RpcServerBuilder, NodeNetworkInfo},
        types::{CommsPublicKey, CommsSecretKey},
        CommsBuilder, Minimized, NodeIdentity, PeerConnection, RefKind,
    };
    use tari_comms_dht::{
        outbound::{DhtOutboundRequest, SendMessageParams},
        Dht, DhtConfig,
    };
    use tari_crypto::keys::SecretKey;
    use tokio::sync::mpsc;

    pub const PROGRAM: &str = "tari-peer-6.2.0";
    pub const RELEASE: &str = "6.2.0";

    pub type Error = Box<dyn std::error::Error + Send + Sync>;
    pub type Outbound = mpsc::UnboundedSender<OutboundMessage>;
    pub type OutboundRx = mpsc::UnboundedReceiver<OutboundMessage>;

    pub fn outbound_channel() -> (Outbound, OutboundRx) {
        mpsc::unbounded_channel()
    }

    pub async fn put(outbound: &Outbound, message: OutboundMessage) -> Result<(), Error> {
        outbound.send(message).map_err(|_| "the node is stopping".into())
    }

    pub fn random_secret() -> CommsSecretKey {
        CommsSecretKey::random(&mut rand::rng())
    }

    /// Options of the builder that only some releases have.
    pub fn finish_builder(builder: CommsBuilder, identity: &Arc<NodeIdentity>) -> Result<CommsBuilder, Error> {
        let connection = DbConnection::connect_temp_file_and_migrate(MIGRATIONS).map_err(|e| e.to_string())?;
        let storage = PeerDatabaseSql::new(connection, &identity.to_peer()).map_err(|e| e.to_string())?;
        Ok(builder.with_peer_storage(storage).with_proactive_dialing_enabled(false))
    }

    /// Asks the node's public address whether it is there, so often.
    pub fn check_liveness(builder: CommsBuilder, every: Option<Duration>) -> CommsBuilder {
        builder.set_self_liveness_check(every)
    }

    /// Closes RPC sessions that nobody has used for so long.
    pub fn close_idle_sessions(builder: RpcServerBuilder, idle: Duration) -> Result<RpcServerBuilder, Error> {
        Ok(builder.with_idle_session_timeout(idle))
    }

    pub fn network_info(wire_byte: u8, user_agent: String) -> NodeNetworkInfo {
        NodeNetworkInfo {
            major_version: 0,
            minor_version: 0,
            network_wire_byte: wire_byte,
            user_agent,
        }
    }

    pub async fn add_peer(manager: &PeerManager, peer: Peer) -> Result<(), Error> {
        manager.add_or_update_peer(peer).await?;
        Ok(())
    }

    pub async fn dial(connectivity: &ConnectivityRequester, peer: NodeId) -> Result<PeerConnection, Error> {
        Ok(connectivity.dial_peer(peer, RefKind::Strong).await?)
    }

    pub async fn connection(
        connectivity: &mut ConnectivityRequester,
        peer: NodeId,
    ) -> Result<Option<PeerConnection>, Error> {
        Ok(connectivity.get_connection(peer, RefKind::Strong).await?)
    }

    pub async fn disconnect(connection: &mut PeerConnection) -> Result<(), Error> {
        Ok(connection.disconnect(Minimized::No, "interop").await?)
    }

    pub fn disconnected(event: &ConnectivityEvent) -> Option<&NodeId> {
        match event {
            ConnectivityEvent::PeerDisconnected(peer, _) => Some(peer),
            _ => None,
        }
    }

    pub fn node_id(key: &CommsPublicKey) -> NodeId {
        NodeId::from_public_key(key)
    }

    pub type RequestRx = mpsc::UnboundedReceiver<DhtOutboundRequest>;

    /// What the DHT is asked to send goes through this.
    pub fn request_channel(_: &DhtConfig) -> (mpsc::UnboundedSender<DhtOutboundRequest>, RequestRx) {
        mpsc::unbounded_channel()
    }

    /// Passes on what is encrypted for others, or not; not if nothing is said, as
    /// nodes of this release do by default.
    pub fn forward(config: &mut DhtConfig, forward: Option<bool>) -> Result<(), Error> {
        config.enable_forwarding = forward.unwrap_or(false);
        Ok(())
    }

    pub fn ask_stored(_: &mut DhtConfig, ask: bool) -> Result<(), Error> {
        match ask {
            true => Err("this release stores no messages".into()),
            false => Ok(()),
        }
    }

    pub async fn ask_stored_of(_: &Dht, _: NodeId) -> Result<(), Error> {
        Err("this release stores no messages".into())
    }

    pub fn closest(_: &mut SendMessageParams, _: NodeId, _: Vec<NodeId>) -> Result<&mut SendMessageParams, Error> {
        Err("this release does not send to the closest".into())
    }

    pub fn closest_connected(
        params: &mut SendMessageParams,
        peer: NodeId,
        exclude: Vec<NodeId>,
    ) -> Result<&mut SendMessageParams, Error> {
        closest(params, peer, exclude)
    }

}

/// 1.0.0-rc.5 and, with the feature release-1-7, 1.7.0-pre.3.
#[cfg(not(feature = "release-6"))]
mod rc5 {
    pub use tari_comms_dht::DbConnectionUrl;

    use std::{sync::Arc, time::Duration};

    use lmdb_zero::db;
    use rand::rngs::OsRng;
    use tari_comms::{
        connectivity::{ConnectivityEvent, ConnectivityRequester},
        message::OutboundMessage,
        peer_manager::{NodeId, Peer},
        protocol::{rpc::RpcServerBuilder, NodeNetworkInfo},
        types::{CommsPublicKey, CommsSecretKey},
        CommsBuilder, NodeIdentity, PeerConnection, PeerManager,
    };
    use tari_comms_dht::{
        outbound::{DhtOutboundRequest, SendMessageParams},
        Dht, DhtConfig,
    };
    use tari_crypto::keys::SecretKey;
    use tari_storage::{
        lmdb_store::{LMDBBuilder, LMDBConfig},
        LMDBWrapper,
    };
    use tokio::sync::mpsc;

    #[cfg(feature = "release-rc5")]
    pub const RELEASE: &str = "1.0.0-rc.5";
    #[cfg(feature = "release-1-7")]
    pub const RELEASE: &str = "1.7.0-pre.3";
    #[cfg(feature = "release-rc5")]
    pub const PROGRAM: &str = "tari-peer-1.0.0-rc.5";
    #[cfg(feature = "release-1-7")]
    pub const PROGRAM: &str = "tari-peer-1.7.0-pre.3";

    pub type Error = Box<dyn std::error::Error + Send + Sync>;
    pub type Outbound = mpsc::Sender<OutboundMessage>;
    pub type OutboundRx = mpsc::Receiver<OutboundMessage>;

    pub fn outbound_channel() -> (Outbound, OutboundRx) {
        mpsc::channel(1000)
    }

    pub async fn put(outbound: &Outbound, message: OutboundMessage) -> Result<(), Error> {
        outbound.send(message).await.map_err(|_| "the node is stopping".into())
    }

    pub fn random_secret() -> CommsSecretKey {
        CommsSecretKey::random(&mut OsRng)
    }

    /// Options of the builder that only some releases have.
    pub fn finish_builder(builder: CommsBuilder, _: &Arc<NodeIdentity>) -> Result<CommsBuilder, Error> {
        let folder = std::env::temp_dir().join(format!("{PROGRAM}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let store = LMDBBuilder::new()
            .set_path(&folder)
            .set_env_config(LMDBConfig::default())
            .set_max_number_of_databases(1)
            .add_database("peers", db::CREATE)
            .build()?;
        let database = store.get_handle("peers").ok_or("the peer store has no table")?;
        Ok(builder.with_peer_storage(LMDBWrapper::new(Arc::new(database)), None))
    }

    pub fn check_liveness(builder: CommsBuilder, every: Option<Duration>) -> CommsBuilder {
        builder.set_liveness_check(every)
    }

    pub fn close_idle_sessions(_: RpcServerBuilder, _: Duration) -> Result<RpcServerBuilder, Error> {
        Err("this release closes no idle RPC sessions".into())
    }

    pub fn network_info(wire_byte: u8, user_agent: String) -> NodeNetworkInfo {
        NodeNetworkInfo {
            major_version: 0,
            minor_version: 0,
            #[cfg(feature = "release-rc5")]
            network_byte: wire_byte,
            #[cfg(feature = "release-1-7")]
            network_wire_byte: wire_byte,
            user_agent,
        }
    }

    pub async fn add_peer(manager: &PeerManager, peer: Peer) -> Result<(), Error> {
        manager.add_peer(peer).await?;
        Ok(())
    }

    pub async fn dial(connectivity: &ConnectivityRequester, peer: NodeId) -> Result<PeerConnection, Error> {
        Ok(connectivity.dial_peer(peer).await?)
    }

    pub async fn connection(
        connectivity: &mut ConnectivityRequester,
        peer: NodeId,
    ) -> Result<Option<PeerConnection>, Error> {
        Ok(connectivity.get_connection(peer).await?)
    }

    pub async fn disconnect(connection: &mut PeerConnection) -> Result<(), Error> {
        #[cfg(feature = "release-rc5")]
        return Ok(connection.disconnect().await?);
        #[cfg(feature = "release-1-7")]
        return Ok(connection.disconnect(tari_comms::Minimized::No).await?);
    }

    pub fn disconnected(event: &ConnectivityEvent) -> Option<&NodeId> {
        match event {
            ConnectivityEvent::PeerDisconnected(peer, ..) => Some(peer),
            _ => None,
        }
    }

    pub fn node_id(key: &CommsPublicKey) -> NodeId {
        NodeId::from_public_key(key)
    }

    pub type RequestRx = mpsc::Receiver<DhtOutboundRequest>;

    /// What the DHT is asked to send goes through this.
    pub fn request_channel(config: &DhtConfig) -> (mpsc::Sender<DhtOutboundRequest>, RequestRx) {
        mpsc::channel(config.outbound_buffer_size)
    }

    /// This release passes on what is encrypted for others, always.
    pub fn forward(_: &mut DhtConfig, forward: Option<bool>) -> Result<(), Error> {
        match forward {
            Some(false) => Err("this release always forwards".into()),
            _ => Ok(()),
        }
    }

    /// Asks peers for stored messages as soon as they are connected.
    pub fn ask_stored(config: &mut DhtConfig, ask: bool) -> Result<(), Error> {
        config.saf.auto_request = ask;
        Ok(())
    }

    pub async fn ask_stored_of(dht: &Dht, peer: NodeId) -> Result<(), Error> {
        Ok(dht.store_and_forward_requester().request_saf_messages_from_peer(peer).await?)
    }

    pub fn closest(
        params: &mut SendMessageParams,
        peer: NodeId,
        exclude: Vec<NodeId>,
    ) -> Result<&mut SendMessageParams, Error> {
        Ok(params.closest(peer, exclude))
    }

    pub fn closest_connected(
        params: &mut SendMessageParams,
        peer: NodeId,
        exclude: Vec<NodeId>,
    ) -> Result<&mut SendMessageParams, Error> {
        Ok(params.closest_connected(peer, exclude))
    }
}
