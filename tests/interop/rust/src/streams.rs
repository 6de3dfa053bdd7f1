//! A protocol of substreams that sends back what it reads.

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::Instant,
};

use serde_json::{json, Value};
use tari_comms::{
    protocol::{ProtocolEvent, ProtocolId, ProtocolNotification},
    PeerConnection, Substream,
};
use tokio::{
    io::{split, AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::release::Error;

pub fn echo_protocol() -> ProtocolId {
    ProtocolId::from_static(b"t/echo/1")
}

/// Counts what was echoed.
#[derive(Clone, Default)]
pub struct Echoed(Arc<Counters>);

#[derive(Default)]
struct Counters {
    streams: AtomicU64,
    ended: AtomicU64,
    bytes: AtomicU64,
}

impl Echoed {
    pub fn serve(mut opened: mpsc::Receiver<ProtocolNotification<Substream>>) -> Self {
        let echoed = Echoed::default();
        let counters = echoed.0.clone();
        tokio::spawn(async move {
            while let Some(notification) = opened.recv().await {
                let ProtocolEvent::NewInboundSubstream(_, stream) = notification.event;
                tokio::spawn(echo(stream, counters.clone()));
            }
        });
        echoed
    }

    pub fn stats(&self) -> Value {
        json!({
            "streams": self.0.streams.load(Ordering::Relaxed),
            "ended": self.0.ended.load(Ordering::Relaxed),
            "bytes": self.0.bytes.load(Ordering::Relaxed),
        })
    }
}

async fn echo(stream: Substream, counters: Arc<Counters>) {
    counters.streams.fetch_add(1, Ordering::Relaxed);
    let (mut reader, mut writer) = split(stream);
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => {
                counters.ended.fetch_add(1, Ordering::Relaxed);
                let _ = writer.shutdown().await;
                return;
            },
            Ok(n) => {
                counters.bytes.fetch_add(n as u64, Ordering::Relaxed);
                if writer.write_all(&buffer[..n]).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            },
            Err(_) => return,
        }
    }
}

/// Opens a substream, writes `size` bytes, ends it, and reads until the other
/// side ends it.
pub async fn open(connection: &mut PeerConnection, protocol: ProtocolId, size: usize) -> Result<Value, Error> {
    let begin = Instant::now();
    let negotiated = connection.open_substream(&protocol).await?;
    let (mut reader, mut writer) = split(negotiated.stream);
    let write = async {
        let body: Vec<u8> = (0..size).map(|i| i as u8).collect();
        writer.write_all(&body).await?;
        writer.shutdown().await
    };
    let read = async {
        let mut body = Vec::new();
        reader.read_to_end(&mut body).await.map(|_| body)
    };
    let (_, body) = tokio::try_join!(write, read)?;
    let damaged = body.iter().enumerate().filter(|(i, b)| **b != *i as u8).count();
    Ok(json!({ "read": body.len(), "damaged": damaged, "ms": begin.elapsed().as_millis() as u64 }))
}
