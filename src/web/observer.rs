//! Progress on its way to the page, and the visitor's cancel on its way back.

use std::cell::Cell;

use js_sys::{Function, Uint8Array};
use wasm_bindgen::JsValue;
use web_time::Instant;

use crate::pipeline::observer::{Observer, Phase, Preview};
use crate::pipeline::stable_diffusion::LoadObserver;
use crate::web::failure::object;

/// Previews cost a readback, so they come at most this often.
const SECONDS_BETWEEN_PREVIEWS: f64 = 0.2;

/// Calls the page's `onevent`.
pub struct GenerationEvents<'a> {
    pub onevent: &'a Function,
    pub cancelled: &'a Cell<bool>,
    last_preview: Cell<Option<Instant>>,
}

impl<'a> GenerationEvents<'a> {
    pub fn new(onevent: &'a Function, cancelled: &'a Cell<bool>) -> Self {
        Self { onevent, cancelled, last_preview: Cell::new(None) }
    }

    fn send(&self, entries: &[(&str, JsValue)]) {
        // A page that throws in its own callback does not stop the engine.
        let _ = self.onevent.call1(&JsValue::NULL, &object(entries));
    }
}

impl Observer for GenerationEvents<'_> {
    fn cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn phase(&self, phase: Phase) {
        let name = match phase {
            Phase::Text => "text",
            Phase::Denoise => "denoise",
            Phase::Decode => "decode",
        };
        self.send(&[("type", "phase".into()), ("phase", name.into())]);
    }

    fn truncated(&self, tokens: usize) {
        self.send(&[("type", "truncated".into()), ("tokens", JsValue::from_f64(tokens as f64))]);
    }

    fn wants_preview(&self) -> bool {
        self.last_preview.get().is_none_or(|last| last.elapsed().as_secs_f64() > SECONDS_BETWEEN_PREVIEWS)
    }

    fn step(&self, step: usize, steps: usize, seconds: f64, preview: Option<Preview>) {
        let mut entries = vec![
            ("type", "step".into()),
            ("step", JsValue::from_f64(step as f64)),
            ("steps", JsValue::from_f64(steps as f64)),
            ("secondsPerStep", JsValue::from_f64(seconds)),
        ];
        if let Some(preview) = preview {
            self.last_preview.set(Some(Instant::now()));
            let pixels = object(&[
                ("width", JsValue::from_f64(preview.width as f64)),
                ("height", JsValue::from_f64(preview.height as f64)),
                ("rgba", Uint8Array::from(preview.rgba.as_slice()).into()),
            ]);
            entries.push(("preview", pixels));
        }
        self.send(&entries);
    }
}

/// Calls the page's `onprogress(done, total, what)`.
pub struct LoadEvents<'a> {
    pub onprogress: &'a Function,
    pub cancelled: &'a Cell<bool>,
}

impl LoadObserver for LoadEvents<'_> {
    fn cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn loading(&self, done: u64, total: u64, part: &str) {
        let number = |value: u64| JsValue::from_f64(value as f64);
        let _ = self.onprogress.call3(&JsValue::NULL, &number(done), &number(total), &part.into());
    }
}
