//! The RPC service that this node offers, and its part as a client of it.
//!
//! The messages are those of `Hello`, `Body` and so on below; their bodies are
//! numbered as those of messages are.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        atomic::{AtomicI64, AtomicU64, Ordering},
        Arc, Mutex,
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use serde_json::{json, Value};
// The macro of the older release wants Response in scope.
use tari_comms::{
    protocol::rpc::{Request, Response, RpcError, RpcPoolClient, RpcServerHandle, RpcStatus, Streaming},
    PeerConnection,
};
use tari_comms_rpc_macros::tari_rpc;
use tokio::sync::mpsc;

use crate::{
    messages::numbered,
    release::{self, Error},
};

#[tari_rpc(protocol_name = b"t/gamelan-test/1", server_struct = TestServer, client_struct = TestClient)]
pub trait Test: Send + Sync + 'static {
    /// Answers "Hello, " and the name.
    #[rpc(method = 1)]
    async fn say_hello(&self, request: Request<Hello>) -> Result<Response<Hello>, RpcStatus>;
    /// Numbered items, as many and as fast as was asked for.
    #[rpc(method = 2)]
    async fn items(&self, request: Request<Items>) -> Result<Streaming<Item>, RpcStatus>;
    /// Answers the same body.
    #[rpc(method = 3)]
    async fn echo(&self, request: Request<Body>) -> Result<Response<Body>, RpcStatus>;
    /// Answers a body of that size.
    #[rpc(method = 4)]
    async fn blob(&self, request: Request<Size>) -> Result<Response<Body>, RpcStatus>;
    /// Answers after so many milliseconds, or never.
    #[rpc(method = 5)]
    async fn wait(&self, request: Request<Wait>) -> Result<Response<Hello>, RpcStatus>;
    /// Answers with a status.
    #[rpc(method = 6)]
    async fn fail(&self, request: Request<Failure>) -> Result<Response<Hello>, RpcStatus>;
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Hello {
    #[prost(string, tag = "1")]
    pub text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Body {
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Size {
    #[prost(uint64, tag = "1")]
    pub size: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Wait {
    /// 0 is for ever.
    #[prost(uint64, tag = "1")]
    pub ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Failure {
    #[prost(uint32, tag = "1")]
    pub status: u32,
    #[prost(string, tag = "2")]
    pub details: String,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Items {
    /// 0 is for ever.
    #[prost(uint64, tag = "1")]
    pub count: u64,
    #[prost(uint64, tag = "2")]
    pub size: u64,
    /// Waited before each item.
    #[prost(uint64, tag = "3")]
    pub pause_us: u64,
    /// After so many items the stream ends with a status; 0 is never.
    #[prost(uint64, tag = "4")]
    pub fail_after: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
#[cfg_attr(feature = "release-6", derive(tari_comms_rpc_macros::DecodeBudget))]
pub struct Item {
    #[prost(uint64, tag = "1")]
    pub number: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub body: Vec<u8>,
}

/// What the service has done, for the service and the commands.
#[derive(Clone, Default)]
pub struct Served(Arc<Counters>);

#[derive(Default)]
struct Counters {
    calls: Mutex<BTreeMap<&'static str, u64>>,
    running: AtomicI64,
    cancelled: AtomicU64,
}

impl Served {
    fn begin(&self, method: &'static str) -> Running {
        *self.0.calls.lock().unwrap().entry(method).or_default() += 1;
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Running {
            served: self.clone(),
            ended: false,
        }
    }

    pub async fn stats(&self, mut server: RpcServerHandle) -> Result<Value, Error> {
        Ok(json!({
            "calls": *self.0.calls.lock().unwrap(),
            "running": self.0.running.load(Ordering::Relaxed),
            "cancelled": self.0.cancelled.load(Ordering::Relaxed),
            "sessions": server.get_num_active_sessions().await?,
        }))
    }
}

/// A call at work; dropped before its end it counts as cancelled.
struct Running {
    served: Served,
    ended: bool,
}

impl Running {
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.served.0.running.fetch_sub(1, Ordering::Relaxed);
        if !self.ended {
            self.served.0.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tari_comms::async_trait]
impl Test for Served {
    async fn say_hello(&self, request: Request<Hello>) -> Result<Response<Hello>, RpcStatus> {
        let running = self.begin("say_hello");
        let text = format!("Hello, {}", request.message().text);
        running.end();
        Ok(Response::new(Hello { text }))
    }

    async fn items(&self, request: Request<Items>) -> Result<Streaming<Item>, RpcStatus> {
        let running = self.begin("items");
        let ask = request.into_message();
        let (items, stream) = mpsc::channel(10);
        tokio::spawn(async move {
            let count = if ask.count == 0 { u64::MAX } else { ask.count };
            for number in 0..count {
                if ask.fail_after > 0 && number == ask.fail_after {
                    let _ = items.send(Err(RpcStatus::general("asked for"))).await;
                    break;
                }
                if ask.pause_us > 0 {
                    let pause = tokio::time::sleep(Duration::from_micros(ask.pause_us));
                    tokio::select! {
                        _ = pause => {},
                        _ = items.closed() => return,
                    }
                }
                let body = numbered(number, ask.size as usize).to_vec();
                if items.send(Ok(Item { number, body })).await.is_err() {
                    return;
                }
            }
            running.end();
        });
        Ok(Streaming::new(stream))
    }

    async fn echo(&self, request: Request<Body>) -> Result<Response<Body>, RpcStatus> {
        let running = self.begin("echo");
        let body = request.into_message();
        running.end();
        Ok(Response::new(body))
    }

    async fn blob(&self, request: Request<Size>) -> Result<Response<Body>, RpcStatus> {
        let running = self.begin("blob");
        let body = numbered(0, request.message().size as usize).to_vec();
        running.end();
        Ok(Response::new(Body { body }))
    }

    async fn wait(&self, request: Request<Wait>) -> Result<Response<Hello>, RpcStatus> {
        let running = self.begin("wait");
        match request.message().ms {
            0 => futures::future::pending().await,
            ms => tokio::time::sleep(Duration::from_millis(ms)).await,
        }
        running.end();
        Ok(Response::new(Hello {
            text: "waited".to_string(),
        }))
    }

    async fn fail(&self, request: Request<Failure>) -> Result<Response<Hello>, RpcStatus> {
        let running = self.begin("fail");
        let ask = request.into_message();
        let details = &ask.details;
        let status = match ask.status {
            1 => RpcStatus::bad_request(details),
            2 => RpcStatus::unsupported_method(details),
            3 => RpcStatus::not_implemented(details),
            4 => RpcStatus::timed_out(details),
            7 => RpcStatus::not_found(details),
            9 => RpcStatus::forbidden(details),
            10 => RpcStatus::conflict(details),
            _ => RpcStatus::general(details),
        };
        running.end();
        Err(status)
    }
}

/// The sessions that this node has opened, by the numbers it gave them.
#[derive(Default)]
pub struct Sessions {
    last: AtomicU64,
    open: Mutex<HashMap<u64, TestClient>>,
}

/// How a session waits; what is None is the library's default.
pub struct Waits {
    pub deadline: Option<Duration>,
    /// On top of the deadline.
    pub grace: Option<Duration>,
    pub handshake: Option<Duration>,
}

impl Sessions {
    pub async fn open(&self, mut connection: PeerConnection, waits: Waits) -> Result<Value, Error> {
        let begin = Instant::now();
        let mut builder = TestClient::builder();
        if let Some(deadline) = waits.deadline {
            builder = builder.with_deadline(deadline);
        }
        if let Some(grace) = waits.grace {
            builder = builder.with_deadline_grace_period(grace);
        }
        if let Some(handshake) = waits.handshake {
            builder = builder.with_handshake_timeout(handshake);
        }
        let client = connection.connect_rpc_using_builder(builder).await?;
        let session = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.lock().unwrap().insert(session, client);
        Ok(json!({ "session": session, "ms": begin.elapsed().as_millis() as u64 }))
    }

    /// A handle of a session: several calls may be at work at the same time, of
    /// which the library puts one after another on the wire.
    pub fn get(&self, session: u64) -> Result<TestClient, Error> {
        let open = self.open.lock().unwrap();
        open.get(&session).cloned().ok_or_else(|| format!("no session {session}").into())
    }

    pub async fn close(&self, session: u64) -> Result<Value, Error> {
        let mut client = self.get(session)?;
        self.open.lock().unwrap().remove(&session);
        client.close().await;
        Ok(json!({}))
    }
}

/// Turns the outcome of a call into an answer: a status of the server is one, any
/// other error is not.
fn answer<T>(begin: Instant, outcome: Result<T, RpcError>, ok: impl FnOnce(T) -> Value) -> Result<Value, Error> {
    let mut value = match outcome {
        Ok(response) => ok(response),
        Err(RpcError::RequestFailed(status)) => {
            return Ok(json!({
                "status": status.as_code(), "details": status.details(), "us": begin.elapsed().as_micros() as u64,
            }))
        },
        Err(e) => return Err(e.into()),
    };
    value["status"] = json!(0);
    value["us"] = json!(begin.elapsed().as_micros() as u64);
    Ok(value)
}

pub async fn hello(mut client: TestClient, name: &str) -> Result<Value, Error> {
    let begin = Instant::now();
    let outcome = client.say_hello(Hello { text: name.to_string() }).await;
    answer(begin, outcome, |hello| json!({ "greeting": hello.text }))
}

fn checked(expected: &[u8], body: &[u8]) -> Value {
    json!({ "size": body.len(), "damaged": expected != body })
}

pub async fn echo(mut client: TestClient, size: usize) -> Result<Value, Error> {
    let body = numbered(0, size).to_vec();
    let begin = Instant::now();
    let outcome = client.echo(Body { body: body.clone() }).await;
    answer(begin, outcome, |echoed| checked(&body, &echoed.body))
}

pub async fn blob(mut client: TestClient, size: usize) -> Result<Value, Error> {
    let begin = Instant::now();
    let outcome = client.blob(Size { size: size as u64 }).await;
    answer(begin, outcome, |blob| checked(&numbered(0, size), &blob.body))
}

/// Reads a stream, to its end or `take` items of it. An item is damaged if it is
/// not the next one with the body that belongs to it.
pub async fn items(mut client: TestClient, ask: Items, take: Option<u64>) -> Result<Value, Error> {
    let begin = Instant::now();
    let size = ask.size as usize;
    let (mut items, mut bytes, mut damaged, mut checksum) = (0u64, 0u64, 0u64, 0u64);
    let (mut ended, mut status, mut details) = ("end", 0, String::new());
    match client.items(ask).await {
        Ok(mut stream) => loop {
            if take == Some(items) {
                ended = "dropped";
                break;
            }
            match stream.next().await {
                Some(Ok(item)) => {
                    if item.number != items || numbered(items, size) != item.body {
                        damaged += 1;
                    }
                    items += 1;
                    bytes += item.body.len() as u64;
                    checksum = item.body.iter().fold(checksum, |sum, b| sum.wrapping_add(*b as u64));
                },
                // A status in the older release, whatever went wrong.
                Some(Err(e)) => match RpcError::from(e) {
                    RpcError::RequestFailed(e) => {
                        (ended, status, details) = ("status", e.as_code(), e.details().to_string());
                        break;
                    },
                    e => return Err(e.into()),
                },
                None => break,
            }
        },
        Err(RpcError::RequestFailed(e)) => (ended, status, details) = ("status", e.as_code(), e.details().to_string()),
        Err(e) => return Err(e.into()),
    }
    Ok(json!({
        "items": items, "bytes": bytes, "damaged": damaged, "checksum": checksum,
        "ended": ended, "status": status, "details": details, "us": begin.elapsed().as_micros() as u64,
    }))
}

/// Waits for the answer, or gives the call up after a while.
pub async fn wait(mut client: TestClient, ms: u64, give_up: Option<Duration>) -> Result<Value, Error> {
    let begin = Instant::now();
    let call = client.wait(Wait { ms });
    let outcome = match give_up {
        None => call.await,
        Some(limit) => match tokio::time::timeout(limit, call).await {
            Ok(outcome) => outcome,
            Err(_) => return Ok(json!({ "gave_up": true })),
        },
    };
    answer(begin, outcome, |hello| json!({ "greeting": hello.text }))
}

pub async fn fail(mut client: TestClient, status: u32, details: &str) -> Result<Value, Error> {
    let begin = Instant::now();
    let details = details.to_string();
    let outcome = client.fail(Failure { status, details }).await;
    answer(begin, outcome, |hello| json!({ "greeting": hello.text }))
}

pub fn connected(client: TestClient) -> Value {
    json!({ "connected": client.is_connected() })
}

pub async fn ping(mut client: TestClient) -> Result<Value, Error> {
    let begin = Instant::now();
    let outcome = client.ping().await;
    answer(begin, outcome, |_| json!({}))
}

/// The limits of the server; what is None is the library's default.
#[derive(Default)]
pub struct Limits {
    pub sessions: Option<usize>,
    pub sessions_per_peer: Option<usize>,
    /// How long a session may be idle; only the newer release closes idle ones.
    pub idle: Option<Duration>,
}

impl Limits {
    pub fn server(self) -> Result<tari_comms::protocol::rpc::RpcServer, Error> {
        let mut builder = tari_comms::protocol::rpc::RpcServer::builder();
        if let Some(limit) = self.sessions {
            builder = builder.with_maximum_simultaneous_sessions(limit);
        }
        if let Some(limit) = self.sessions_per_peer {
            builder = builder.with_maximum_sessions_per_client(limit);
        }
        if let Some(idle) = self.idle {
            builder = release::close_idle_sessions(builder, idle)?;
        }
        Ok(builder.finish())
    }
}
