//! What the engine and the clients log, read by the law that no secret is in it.

use std::fmt::{Debug, Write};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Reads every event and every span of every level to somebody.
pub(super) struct LogReader<F>(pub(super) F);

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "{value:?} ");
    }
}

impl<F: Fn(&str) + Send + Sync + 'static> LogReader<F> {
    fn read(&self, visit: impl FnOnce(&mut Text)) {
        let mut text = Text::default();
        visit(&mut text);
        (self.0)(&text.0);
    }
}

impl<F: Fn(&str) + Send + Sync + 'static> Subscriber for LogReader<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.read(|text| span.record(text));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.read(|text| values.record(text));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.read(|text| event.record(text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn every_word_of_events_and_spans_is_read() {
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = seen.clone();
        let reader = LogReader(move |text: &str| sink.lock().unwrap().push_str(text));
        tracing::subscriber::with_default(reader, || {
            let span = tracing::trace_span!("call", account = "a-1", token = tracing::field::Empty);
            span.record("token", "t-2");
            tracing::debug!(error = %"e-3", key = ?Some("k-4"), "said {}", "m-5");
        });
        let seen = seen.lock().unwrap().clone();
        for word in ["a-1", "t-2", "e-3", "k-4", "m-5"] {
            assert!(seen.contains(word), "{word} is not in {seen}");
        }
    }
}
