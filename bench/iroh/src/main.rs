//! Measures iroh on loopback: two endpoints in this process, without relay or discovery.
//!
//!     bench-iroh oneway BYTES SECONDS     messages on one stream, each written by itself
//!     bench-iroh request BYTES SECONDS    a message and its echo on an open stream
//!     bench-iroh connect 0 SECONDS        a new dialling endpoint, its connection, and the close
//!
//! It prints one line: operations, seconds of wall time, seconds of CPU, and the median and 99th
//! percentile of the latency in nanoseconds (0 for oneway).

use iroh::{
    endpoint::{presets, RecvStream, SendStream},
    Endpoint, RelayMode,
};
use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    sync::Arc,
    time::{Duration, Instant},
};

type Res<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ALPN: &[u8] = b"bench/1";

async fn endpoint() -> Res<Endpoint> {
    Ok(Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .alpns(vec![ALPN.to_vec()])
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .bind()
        .await?)
}

/// cpu is what this process has used, user and system, in seconds.
fn cpu() -> Res<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let rest = text.rsplit(')').next().ok_or("stat")?;
    let f: Vec<&str> = rest.split_whitespace().collect();
    Ok((f[11].parse::<f64>()? + f[12].parse::<f64>()?) / 100.0) // ticks, of which Linux has 100 a second
}

/// read fills a buffer, and says whether the stream had that much.
async fn read(r: &mut RecvStream, buf: &mut [u8]) -> bool {
    r.read_exact(buf).await.is_ok()
}

/// serve accepts connections for ever. What comes on a stream that cannot be answered is
/// counted, and on another one sent back n bytes at a time.
async fn serve(e: Endpoint, n: usize, bytes: Arc<AtomicU64>) {
    while let Some(incoming) = e.accept().await {
        let bytes = bytes.clone();
        tokio::spawn(async move {
            let Ok(c) = incoming.await else { return };
            loop {
                tokio::select! {
                    Ok(mut r) = c.accept_uni() => {
                        let (bytes, mut buf) = (bytes.clone(), vec![0; 64 << 10]);
                        tokio::spawn(async move {
                            while let Ok(Some(k)) = r.read(&mut buf).await {
                                bytes.fetch_add(k as u64, Relaxed);
                            }
                        });
                    }
                    Ok((s, r)) = c.accept_bi() => { tokio::spawn(echo(s, r, n)); }
                    else => return,
                }
            }
        });
    }
}

async fn echo(mut s: SendStream, mut r: RecvStream, n: usize) {
    let mut buf = vec![0; n];
    while read(&mut r, &mut buf).await && s.write_all(&buf).await.is_ok() {}
}

#[tokio::main]
async fn main() -> Res<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, what, n, seconds] = &args[..] else { return Err("usage: bench-iroh oneway|request|connect BYTES SECONDS".into()) };
    let (n, window) = (n.parse::<usize>()?, Duration::from_secs_f64(seconds.parse()?));
    let (listener, bytes) = (endpoint().await?, Arc::new(AtomicU64::new(0)));
    let to = listener.addr();
    tokio::spawn(serve(listener.clone(), n, bytes.clone()));

    let dialer = endpoint().await?;
    let c = dialer.connect(to.clone(), ALPN).await?;
    let (mut took, msg, mut buf) = (Vec::new(), vec![7; n], vec![0; n]);
    let (ops, wall, used);
    match what.as_str() {
        "oneway" => {
            let (mut s, over) = (c.open_uni().await?, Arc::new(AtomicBool::new(false)));
            let end = over.clone();
            let writer = tokio::spawn(async move { while !end.load(Relaxed) && s.write_all(&msg).await.is_ok() {} });
            tokio::time::sleep(Duration::from_millis(200)).await;
            let (from, at, begun) = (bytes.load(Relaxed), cpu()?, Instant::now());
            tokio::time::sleep(window).await;
            (ops, wall, used) = ((bytes.load(Relaxed) - from) / n as u64, begun.elapsed(), cpu()? - at);
            over.store(true, Relaxed);
            writer.await?;
        }
        "request" => {
            let (mut s, mut r) = c.open_bi().await?;
            let (mut at, mut begun) = (cpu()?, Instant::now());
            for i in 0.. {
                if i == 50 {
                    (at, begun) = (cpu()?, Instant::now());
                    took.clear();
                }
                let t = Instant::now();
                s.write_all(&msg).await?;
                if !read(&mut r, &mut buf).await {
                    return Err("no echo".into());
                }
                took.push(t.elapsed().as_nanos() as u64);
                if i > 50 && begun.elapsed() > window {
                    break;
                }
            }
            (ops, wall, used) = (took.len() as u64, begun.elapsed(), cpu()? - at);
        }
        "connect" => {
            let (at, begun) = (cpu()?, Instant::now());
            while begun.elapsed() < window {
                let t = Instant::now();
                let e = endpoint().await?;
                e.connect(to.clone(), ALPN).await?.close(0u32.into(), b"");
                took.push(t.elapsed().as_nanos() as u64);
                e.close().await;
            }
            (ops, wall, used) = (took.len() as u64, begun.elapsed(), cpu()? - at);
        }
        _ => return Err(format!("{what} is not measured").into()),
    }
    took.sort_unstable();
    let quantile = |q: usize| took.get(took.len() * q / 100).copied().unwrap_or(0);
    println!("{ops} {} {used} {} {}", wall.as_secs_f64(), quantile(50), quantile(99));
    Ok(())
}
