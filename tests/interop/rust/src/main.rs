//! A real Tari node on loopback TCP, for the tests in `tests/interop`.
//!
//! It is steered by lines on standard input, each a JSON object such as
//! `{"id":1,"cmd":"dial","peer":"<public key>"}`, and answers on standard output
//! with one JSON object a line: `{"id":1,"ok":{…}}` or `{"id":1,"error":"…"}`.
//! Lines without an id are events. Commands run side by side, so one that takes
//! long holds up no other. The end of standard input ends the node.
//!
//! One file, one subject: `release` is all that differs between the releases of
//! tari_comms, `node` builds the node, `messages`, `streams` and `rpc` are what it
//! does with its peers, `dht`, `letters` and `lists` what the DHT adds, `peers` what it
//! knows of them, `bench` what is measured of it, `commands` maps lines to them.

mod bench;
mod commands;
mod console;
mod dht;
mod letters;
mod lists;
mod messages;
mod node;
mod peers;
mod release;
mod rpc;
mod streams;

use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() {
    let options = match node::Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(e) => {
            eprintln!("{}: {e}", release::PROGRAM);
            std::process::exit(2);
        }
    };
    console::start_log(&options.log);
    let node = match node::start(options).await {
        Ok(started) => started,
        Err(e) => {
            eprintln!("{}: {e}", release::PROGRAM);
            std::process::exit(1);
        }
    };
    let node = Arc::new(node);
    console::line(json!({ "event": "started", "identity": node.identity() }));

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let node = node.clone();
        tokio::spawn(async move { commands::run(node, &line).await });
    }
    node.stop().await;
}
