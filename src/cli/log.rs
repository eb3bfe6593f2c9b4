//! What libraries and inner modules log, in the form of everything else on
//! standard error. Warnings by default; `TENURE_LOG=debug` shows more.

use std::fmt::Debug;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, registry};

use super::console::{Audience, Console};

/// The variable that says how much is logged, as `tracing` filters are written.
const VARIABLE: &str = "TENURE_LOG";

/// Sends log records to the console from here on.
pub fn install(console: &Console) {
    // What the kernel of Delta cannot read it also returns, and there it becomes a problem.
    let default = || EnvFilter::new("warn,delta_kernel=off");
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| default());
    // It fails where a test or host has its own log already: that one stays.
    let _ = registry().with(filter).with(ConsoleLayer(console.clone())).try_init();
}

struct ConsoleLayer(Console);

impl<S: Subscriber> Layer<S> for ConsoleLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = level(*event.metadata().level());
        match self.0.audience() {
            Audience::Program => {
                fields.0.insert("level".into(), level.into());
                fields.0.insert("module".into(), event.metadata().target().into());
                self.0.event("log", Value::Object(fields.0));
            }
            Audience::Terminal | Audience::Pipe => {
                self.0.line(&format!("{level}: {}", fields.text()));
            }
        }
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The fields of a record; its text is the field `message`.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&self) -> String {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let message = self.0.get("message").map(text).unwrap_or_default();
        let others = self.0.iter().filter(|(name, _)| *name != "message");
        others.fold(message, |line, (name, value)| format!("{line} {name}={}", text(value)))
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }
}
