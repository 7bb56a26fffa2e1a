//! A Stable Diffusion model on an executor: what a stock diffusers folder holds, loaded.
//!
//! Decision: generic over the executor, so that the same story runs on the GPU and, picture for picture, on the CPU
//! reference. Rejected: a trait object per network, which would hide that only the executor differs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
use crate::formats::model_index::ModelIndex;
use crate::models::checkpoint::{Checkpoint, read_config};
use crate::models::clip::ClipTextModel;
use crate::models::config::{ClipTextConfig, UnetConfig, VaeConfig};
use crate::models::loader::{LoadProgress, Loader};
use crate::models::precision::Precision;
use crate::models::unet::Unet;
use crate::models::vae::{VaeDecoder, unscaled_factor};
use crate::pipeline::observer::Unwatched;
use crate::pipeline::preview::PreviewFactors;
use crate::pipeline::programs::Programs;
use crate::record::Executor;
use crate::sampler::SchedulerConfig;
use crate::source::{Folder, read_whole};
use crate::tensor::DType;
use crate::text::clip_tokenizer::{ClipTokenizer, ClipTokenizerFiles};

/// The type of activations to compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activations {
    /// f16 where the device has it.
    #[default]
    Auto,
    F32,
    F16,
}

/// How to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    pub precision: Precision,
    pub activations: Activations,
}

/// Told while a model loads.
pub trait LoadObserver {
    fn cancelled(&self) -> bool {
        false
    }
    /// Bytes of the model's files, and which part is being read.
    fn loading(&self, _done: u64, _total: u64, _part: &str) {}
}

impl LoadObserver for crate::pipeline::observer::Unobserved {}

/// The networks, the tokenizer and the scheduler's configuration of one model.
pub struct StableDiffusion<E: Executor> {
    pub(super) executor: Rc<E>,
    pub(super) tokenizer: ClipTokenizer,
    /// None while it is released, see [`Self::release_text_encoder_after_use`].
    text_encoder: RefCell<Option<Rc<ClipTextModel>>>,
    pub(super) text_config: ClipTextConfig,
    text_bytes: u64,
    pub(super) releases_text_encoder: Cell<bool>,
    folder: Rc<dyn Folder>,
    precision: Precision,
    pub(super) unet: Unet,
    pub(super) vae: VaeDecoder,
    pub(super) scheduler: SchedulerConfig,
    /// Of the denoiser and the text encoder.
    pub(super) activations: Cell<DType>,
    /// Of the decoder.
    pub(super) vae_activations: Cell<DType>,
    /// Runs of the denoiser per guided call: one batch of both halves, or one after the other.
    pub(super) passes: Cell<usize>,
    pub(super) programs: RefCell<Option<Programs<E>>>,
    pub(super) preview: RefCell<PreviewFactors>,
    name: String,
    distilled: bool,
    weight_bytes: u64,
}

/// The classes of `model_index.json` that this pipeline runs.
const PIPELINES: &[&str] = &[
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipelineLegacy",
    "AutoPipelineForText2Image",
];
const COMPONENTS: &[(&str, &[&str])] = &[
    ("text_encoder", &["CLIPTextModel"]),
    ("tokenizer", &["CLIPTokenizer", "CLIPTokenizerFast"]),
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL"]),
];
/// A text encoder of more bytes is released while it is not needed, where it can be read again cheaply.
const LARGE_TEXT_ENCODER: u64 = 200 << 20;
/// More than any tokenizer file is long.
const MOST_TOKENIZER_BYTES: u64 = 64 << 20;

impl<E: Executor> StableDiffusion<E> {
    /// Loads a stock folder. Fails with the name of what is missing, misshapen or not supported.
    pub async fn load(
        executor: Rc<E>,
        source: Rc<dyn Folder>,
        options: LoadOptions,
        observer: &dyn LoadObserver,
    ) -> Result<Self> {
        let folder = &*source;
        // 1. What the folder says it is
        check_classes(folder).await?;
        let unet_config: UnetConfig = config(folder, "unet/config.json").await?;
        let vae_config: VaeConfig = config(folder, "vae/config.json").await?;
        let text_config: ClipTextConfig = config(folder, "text_encoder/config.json").await?;
        let scheduler = scheduler_config(folder).await?;
        let tokenizer = tokenizer(folder).await?;
        unscaled_factor(&vae_config)?;
        // 2. Where its weights are
        let text = Checkpoint::open(folder, "text_encoder").await?;
        let unet = Checkpoint::open(folder, "unet").await?;
        let vae = Checkpoint::open(folder, "vae").await?;
        let progress = Progress::new(observer, &[&text, &unet, &vae]);
        // 3. The weights, each network in turn
        let before = executor.memory().0;
        let loader = |checkpoint, part: &'static str| {
            progress.part.set(part);
            Loader::new(&*executor, checkpoint, options.precision, &progress)
        };
        let text_encoder = ClipTextModel::load(text_config.clone(), &loader(&text, "text_encoder")).await?;
        let text_bytes = executor.memory().0 - before;
        let unet = Unet::load(unet_config, &loader(&unet, "unet")).await?;
        let vae = VaeDecoder::load(vae_config, &loader(&vae, "vae")).await?;
        executor.settle().await?;
        check_fit(&unet, &vae, &text_encoder)?;
        let weight_bytes = executor.memory().0 - before;
        let preview = PreviewFactors::known(vae.config.latent_channels, vae.config.scaling_factor);
        let activations = activations(&*executor, options.activations)?;
        let model = Self {
            executor,
            tokenizer,
            text_encoder: RefCell::new(Some(Rc::new(text_encoder))),
            text_config,
            text_bytes,
            releases_text_encoder: Cell::new(text_bytes > LARGE_TEXT_ENCODER && source.is_near()),
            folder: source.clone(),
            precision: options.precision,
            unet,
            vae,
            distilled: looks_distilled(folder.name(), &scheduler)?,
            scheduler,
            activations: Cell::new(activations),
            vae_activations: Cell::new(activations),
            passes: Cell::new(1),
            programs: RefCell::new(None),
            preview: RefCell::new(preview),
            name: folder.name().to_owned(),
            weight_bytes,
        };
        Ok(model)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn executor(&self) -> &Rc<E> {
        &self.executor
    }

    /// Bytes of weights on the executor while it draws.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes - if self.releases_text_encoder.get() { self.text_bytes } else { 0 }
    }

    /// Lets the text encoder go once a prompt is encoded and reads it again for the next prompt.
    pub fn release_text_encoder_after_use(&self) {
        self.releases_text_encoder.set(true);
    }

    /// The text encoder, read again where it was released.
    pub async fn text_encoder(&self) -> Result<Rc<ClipTextModel>> {
        if let Some(encoder) = &*self.text_encoder.borrow() {
            return Ok(encoder.clone());
        }
        let checkpoint = Checkpoint::open(&*self.folder, "text_encoder").await?;
        let loader = Loader::new(&*self.executor, &checkpoint, self.precision, &Unwatched);
        let encoder = Rc::new(ClipTextModel::load(self.text_config.clone(), &loader).await?);
        *self.text_encoder.borrow_mut() = Some(encoder.clone());
        Ok(encoder)
    }

    pub(super) fn release_text_encoder(&self) {
        *self.text_encoder.borrow_mut() = None;
        self.executor.collect();
    }

    /// The text encoder if it is there.
    pub(super) fn present_text_encoder(&self) -> Option<Rc<ClipTextModel>> {
        self.text_encoder.borrow().clone()
    }

    /// Width and height of the pictures that the model was trained for.
    pub fn default_size(&self) -> (usize, usize) {
        let (height, width) = self.unet.config.latent_size();
        let scale = self.vae.config.pixels_per_latent();
        (width * scale, height * scale)
    }

    /// What sides of pictures must be multiples of.
    pub fn size_step(&self) -> usize {
        self.vae.config.pixels_per_latent()
    }

    /// Whether the model was distilled to few steps without guidance, as the Turbo models.
    pub fn is_distilled(&self) -> bool {
        self.distilled
    }

    /// Tokens that fit a prompt, both ends included.
    pub fn prompt_tokens(&self) -> usize {
        self.text_config.max_position_embeddings
    }

    /// What people call this kind of model.
    pub fn family(&self) -> &'static str {
        match (self.distilled, self.text_config.hidden_size) {
            (true, _) => "Stable Diffusion Turbo",
            (false, 1024) => "Stable Diffusion 2",
            (false, 768) => "Stable Diffusion 1",
            (false, _) => "Stable Diffusion",
        }
    }

    /// The guidance at which people start.
    pub fn usual_guidance(&self) -> f64 {
        // Small pictures have little detail to sharpen.
        if self.default_size().0 <= 128 { 2.0 } else { 7.5 }
    }

    pub fn scheduler(&self) -> &SchedulerConfig {
        &self.scheduler
    }

    /// Replaces the scheduler's configuration.
    pub fn set_scheduler(&mut self, scheduler: SchedulerConfig) {
        self.scheduler = scheduler;
    }

    pub fn activations(&self) -> DType {
        self.activations.get()
    }

    pub fn networks(&self) -> (&Unet, &VaeDecoder) {
        (&self.unet, &self.vae)
    }

    pub fn tokenizer(&self) -> &ClipTokenizer {
        &self.tokenizer
    }

    /// Runs the halves of guidance one after the other: slower where the device is large, but with half the activations.
    pub fn guide_in_two_passes(&self) {
        self.passes.set(2);
    }

    /// Gives up programs and their memory; the next generation makes them again.
    pub fn forget_programs(&self) {
        *self.programs.borrow_mut() = None;
        self.executor.collect();
    }
}

fn activations<E: Executor>(executor: &E, wanted: Activations) -> Result<DType> {
    let capabilities = executor.capabilities();
    match wanted {
        Activations::F16 if !capabilities.f16 => Err(Error::new(
            ErrorKind::DeviceLimit,
            format!("{} has no shader-f16; choose f32 activations", capabilities.name),
        )),
        Activations::F32 => Ok(DType::F32),
        Activations::Auto if !capabilities.f16 => Ok(DType::F32),
        Activations::Auto | Activations::F16 => Ok(DType::F16),
    }
}

/// A model that was distilled to few steps says so in its name, or in a scheduler that counts down to a single step.
fn looks_distilled(name: &str, scheduler: &SchedulerConfig) -> Result<bool> {
    let trailing = scheduler.text("timestep_spacing", "")? == "trailing";
    let epsilon = scheduler.text("prediction_type", "epsilon")? == "epsilon";
    let euler = scheduler.class().name().starts_with("Euler");
    Ok(name.to_lowercase().contains("turbo") || (trailing && epsilon && euler))
}

fn check_fit(unet: &Unet, vae: &VaeDecoder, text: &ClipTextModel) -> Result<()> {
    let misfit = |sentence: String| Err(Error::new(ErrorKind::Unsupported, sentence));
    let latent = vae.config.latent_channels;
    if unet.config.in_channels != latent || unet.config.out_channels != latent {
        return misfit(format!(
            "The UNet takes {} channels and gives {}, the VAE's latent has {latent}; only plain text-to-image UNets are \
             supported",
            unet.config.in_channels, unet.config.out_channels
        ));
    }
    let hidden = text.config.hidden_size;
    if unet.config.cross_attention_dim.level(0) != Some(hidden) {
        return misfit(format!(
            "The text encoder's hidden size is {hidden}, the UNet's cross attention expects {:?}",
            unet.config.cross_attention_dim
        ));
    }
    Ok(())
}

async fn check_classes(folder: &dyn Folder) -> Result<()> {
    let path = "model_index.json";
    let bytes = read_whole(folder, path, MOST_TOKENIZER_BYTES).await?;
    let index = ModelIndex::parse(&format!("{}/{path}", folder.name()), &bytes)?;
    if !PIPELINES.contains(&index.class.as_str()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{}: the pipeline class {} is not supported yet", folder.name(), index.class),
        ));
    }
    for (part, classes) in COMPONENTS {
        let class = &index.component(part)?.class;
        if !classes.contains(&class.as_str()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{}: {part} is a {class}, which is not supported (only {})", folder.name(), classes.join(", ")),
            ));
        }
    }
    Ok(())
}

/// Reads a configuration into its type.
pub async fn config<T: serde::de::DeserializeOwned>(folder: &dyn Folder, path: &str) -> Result<T> {
    let value = read_config(folder, path).await?;
    serde_json::from_value(value)
        .map_err(|error| Error::new(ErrorKind::Malformed, format!("{}/{path}: {error}", folder.name())))
}

async fn scheduler_config(folder: &dyn Folder) -> Result<SchedulerConfig> {
    let path = "scheduler/scheduler_config.json";
    let bytes = read_whole(folder, path, MOST_TOKENIZER_BYTES).await?;
    SchedulerConfig::from_json(&String::from_utf8_lossy(&bytes))
        .map_err(|error| error.within(format!("{}/{path}", folder.name())))
}

async fn tokenizer(folder: &dyn Folder) -> Result<ClipTokenizer> {
    let vocabulary = read_whole(folder, "tokenizer/vocab.json", MOST_TOKENIZER_BYTES).await?;
    let merges = read_whole(folder, "tokenizer/merges.txt", MOST_TOKENIZER_BYTES).await?;
    let config = optional(folder, "tokenizer/tokenizer_config.json").await?;
    let special_tokens = optional(folder, "tokenizer/special_tokens_map.json").await?;
    ClipTokenizer::from_files(ClipTokenizerFiles {
        vocabulary: &vocabulary,
        merges: &merges,
        config: config.as_deref(),
        special_tokens: special_tokens.as_deref(),
    })
    .map_err(|error| error.within(format!("{}/tokenizer", folder.name())))
}

async fn optional(folder: &dyn Folder, path: &str) -> Result<Option<Vec<u8>>> {
    match folder.open(path).await? {
        Some(_) => Ok(Some(read_whole(folder, path, MOST_TOKENIZER_BYTES).await?)),
        None => Ok(None),
    }
}

/// Sums what the loaders of all parts read.
struct Progress<'a> {
    observer: &'a dyn LoadObserver,
    total: u64,
    done: Cell<u64>,
    part: Cell<&'static str>,
}

impl<'a> Progress<'a> {
    fn new(observer: &'a dyn LoadObserver, checkpoints: &[&Checkpoint]) -> Self {
        // The encoder half of the VAE stays where it is.
        let wanted = |name: &str| !name.starts_with("encoder.") && !name.starts_with("quant_conv.");
        let total = checkpoints
            .iter()
            .flat_map(|checkpoint| {
                checkpoint.names().filter(|name| wanted(name)).map(|name| checkpoint.stored_bytes(name).unwrap_or(0))
            })
            .sum();
        Self { observer, total, done: Cell::new(0), part: Cell::new("") }
    }
}

impl LoadProgress for Progress<'_> {
    fn cancelled(&self) -> bool {
        self.observer.cancelled()
    }

    fn loaded(&self, bytes: u64) {
        self.done.set(self.done.get() + bytes);
        self.observer.loading(self.done.get().min(self.total), self.total, self.part.get());
    }
}
