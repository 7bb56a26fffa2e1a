//! The class that the page's worker holds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{AdapterChoice, Gpu};
use crate::models::precision::Precision;
use crate::pipeline::stable_diffusion::{Activations, LoadOptions, StableDiffusion};
use crate::pipeline::txt2img::{Picture, txt2img};
use crate::record::Executor;
use crate::web::failure::{object, settle, to_js};
use crate::web::folder::PageFolder;
use crate::web::messages;
use crate::web::observer::{GenerationEvents, LoadEvents};

struct State {
    gpu: Rc<Gpu>,
    activations: Activations,
    model: RefCell<Option<Rc<StableDiffusion<Gpu>>>>,
    cancelled: Cell<bool>,
}

/// One GPU device with at most one model on it.
#[wasm_bindgen]
pub struct Engine {
    state: Rc<State>,
}

#[wasm_bindgen]
impl Engine {
    /// Opens the GPU; `options.activations` is "auto", "f32" or "f16".
    #[wasm_bindgen(unchecked_return_type = "Promise<Engine>")]
    pub fn create(options: JsValue) -> Promise {
        console_error_panic_hook::set_once();
        future_to_promise(async move {
            let wanted = text(&options, "activations");
            let opened = open(wanted.as_deref()).await;
            opened.map(JsValue::from).map_err(|error| to_js(&error))
        })
    }

    /// What the device is and can do, as JSON.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> String {
        messages::device(self.state.gpu.capabilities())
    }

    /// Loads a diffusers folder in place of the model that was there. Resolves with its description as JSON.
    #[wasm_bindgen(unchecked_return_type = "Promise<string>")]
    pub fn load(&self, folder: JsValue, options: JsValue, onprogress: Function) -> Promise {
        let state = self.state.clone();
        state.cancelled.set(false);
        future_to_promise(async move {
            let precision = text(&options, "quantization").unwrap_or_else(|| "q8_0".into());
            settle(state.load(folder, &precision, &onprogress).await.map(JsValue::from))
        })
    }

    /// Ends the running load or generation at the next submission.
    pub fn cancel(&self) {
        self.state.cancelled.set(true);
    }

    /// What a generation will need, as JSON.
    pub fn plan(&self, settings: &str) -> std::result::Result<String, JsValue> {
        let plan = || self.state.model()?.plan(&messages::settings(settings)?);
        plan().map(|plan| messages::plan(&plan)).map_err(|error| to_js(&error))
    }

    /// Draws one picture.
    #[wasm_bindgen(unchecked_return_type = "Promise<any>")]
    pub fn generate(&self, settings: String, onevent: Function) -> Promise {
        let state = self.state.clone();
        state.cancelled.set(false);
        future_to_promise(async move { settle(state.generate(&settings, &onevent).await) })
    }

    /// Destroys the model's GPU buffers. The device stays.
    pub fn unload(&self) {
        self.state.unload();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.state.cancelled.set(true);
        self.state.unload();
        self.state.gpu.close();
    }
}

impl State {
    fn model(&self) -> Result<Rc<StableDiffusion<Gpu>>> {
        self.model
            .borrow()
            .clone()
            .ok_or_else(|| Error::new(ErrorKind::InvalidSetting, "No model is loaded; choose one first"))
    }

    fn unload(&self) {
        *self.model.borrow_mut() = None;
        self.gpu.collect();
        self.gpu.trim();
    }

    async fn load(&self, folder: JsValue, precision: &str, onprogress: &Function) -> Result<String> {
        let precision = Precision::from_name(precision)
            .ok_or_else(|| Error::new(ErrorKind::InvalidSetting, format!("There is no quantisation {precision}")))?;
        // The old model goes first: both together may not fit.
        self.unload();
        let options = LoadOptions { precision, activations: self.activations };
        let observer = LoadEvents { onprogress, cancelled: &self.cancelled };
        let loaded =
            StableDiffusion::load(self.gpu.clone(), Rc::new(PageFolder::new(folder)), options, &observer).await;
        // Whatever a broken load left behind is freed.
        self.gpu.collect();
        let model = loaded?;
        let info = messages::model_info(&model);
        *self.model.borrow_mut() = Some(Rc::new(model));
        Ok(info)
    }

    async fn generate(&self, settings: &str, onevent: &Function) -> Result<JsValue> {
        let model = self.model()?;
        let settings = messages::settings(settings)?;
        let observer = GenerationEvents::new(onevent, &self.cancelled);
        let pictures = txt2img(&model, &settings, &observer).await?;
        let seed = settings.seeds.first().copied().unwrap_or(0);
        let picture = pictures
            .pictures
            .first()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the generation returned no picture"))?;
        let times = &pictures.timings;
        let timings = object(&[
            ("text", times.text.into()),
            ("denoise", times.denoise.into()),
            ("decode", times.decode.into()),
            ("total", times.total().into()),
        ]);
        let Picture { width, height, rgba } = picture;
        Ok(object(&[
            ("width", JsValue::from_f64(*width as f64)),
            ("height", JsValue::from_f64(*height as f64)),
            ("rgba", Uint8Array::from(rgba.as_slice()).into()),
            ("seed", seed.to_string().into()),
            ("timings", timings),
            ("retriedInF32", pictures.retried_in_f32.into()),
        ]))
    }
}

async fn open(activations: Option<&str>) -> Result<Engine> {
    let activations = match activations {
        None | Some("auto") => Activations::Auto,
        Some("f32") => Activations::F32,
        Some("f16") => Activations::F16,
        Some(other) => {
            return Err(Error::new(ErrorKind::InvalidSetting, format!("There are no activations named {other}")));
        }
    };
    let gpu = Rc::new(Gpu::open(&AdapterChoice::default()).await?);
    let state = State { gpu, activations, model: RefCell::new(None), cancelled: Cell::new(false) };
    Ok(Engine { state: Rc::new(state) })
}

fn text(object: &JsValue, key: &str) -> Option<String> {
    Reflect::get(object, &key.into()).ok().and_then(|value| value.as_string())
}
