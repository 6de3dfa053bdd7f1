//! Standard output and the log.

use std::io::Write;

use serde_json::Value;

/// Writes one line. Standard output is only ever written here.
pub fn line(value: Value) {
    let mut text = value.to_string();
    text.push('\n');
    let mut out = std::io::stdout().lock();
    // A reader that is gone ends the node through its standard input.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

struct Log;

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("comms")
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            eprintln!("{} {} {}", record.level(), record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Logs what the library says to standard error: off, error, warn, info, debug
/// or trace.
pub fn start_log(level: &str) {
    if let Ok(level) = level.parse() {
        if log::set_logger(&Log).is_ok() {
            log::set_max_level(level);
        }
    }
}
