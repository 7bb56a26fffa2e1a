/**
 * What the engine (Rust, compiled to WebAssembly) and the page promise each other.
 *
 * `cargo xtask wasm` writes the package to `src/engine/pkg/darkroom.js`; its Rust side is `src/web/`. Everything that
 * crosses is a number, a string, bytes or a plain object, so the page knows no tensor names and the engine no elements.
 * Rejected: importing the types that wasm-bindgen generates, because the page must type-check and its tests must run
 * before the engine is built.
 */

/** The module `pkg/darkroom.js`. */
export interface EngineModule {
  /** Compiles and starts the WebAssembly. Without an argument it fetches `darkroom_bg.wasm` from beside the module. */
  default(input?: unknown): Promise<unknown>;
  Engine: EngineConstructor;
}

export interface EngineConstructor {
  /** Opens the GPU. Rejects with an {@link EngineFailure}: `no-gpu`, `device-limit`. */
  create(options: { activations?: "auto" | "f32" | "f16" }): Promise<Engine>;
}

/**
 * One GPU device with at most one model on it.
 *
 * Calls do not overlap: the worker waits for one to settle before it makes the next. Only {@link Engine.cancel} may come
 * while `load` or `generate` is running.
 */
export interface Engine {
  /** {@link Device} as JSON. */
  readonly device: string;

  /**
   * Reads a diffusers folder, quantises it on the way and puts it on the GPU, in place of the model that was there.
   *
   * `onprogress(done, total, what)`: bytes of weight files, and the file that is being read. Failures that the folder's
   * own `open` or `read` rejected with are passed on unchanged. Returns {@link ModelInfo} as JSON.
   */
  load(
    folder: FolderHandle,
    options: { quantization: Quantization },
    onprogress: (done: number, total: number, what: string) => void,
  ): Promise<string>;

  /** Ends the running `load` or `generate` at the next submission; its promise rejects with `cancelled`. */
  cancel(): void;

  /** {@link Plan} as JSON, for {@link Settings} as JSON. Throws an {@link EngineFailure}. */
  plan(settings: string): string;

  /** Draws one picture for {@link Settings} as JSON. */
  generate(settings: string, onevent: (event: GenerationEvent) => void): Promise<GeneratedImage>;

  /** Destroys the model's GPU buffers. The device stays. */
  unload(): void;

  /** Destroys everything. The object cannot be used afterwards. */
  free(): void;
}

/** A folder in the stock diffusers layout, wherever it is. */
export interface FolderHandle {
  /** For sentences: "emoji", "sd-turbo". */
  name: string;
  /** `unet/config.json` and the like. Resolves to null when there is no such file. */
  open(path: string): Promise<FileHandle | null>;
}

export interface FileHandle {
  name: string;
  /** In bytes. */
  size: number;
  /** The bytes `start..end` (end exclusive), exactly that many. Reads in ascending order are the fastest. */
  read(start: number, end: number): Promise<Uint8Array>;
}

export type Quantization = "f16" | "q8_0" | "q4_0";

export interface Device {
  /** What the browser tells of the adapter; may be empty. */
  name: string;
  f16: boolean;
  subgroups: boolean;
  maxBufferBytes: number;
  maxBindingBytes: number;
}

export interface ModelInfo {
  name: string;
  /** "Stable Diffusion 1", … */
  family: string;
  /** Default picture size [width, height] in pixels. */
  sampleSize: [number, number];
  /** Width and height are multiples of this. */
  sizeStep: number;
  defaultSteps: number;
  defaultGuidance: number;
  /** An id out of `samplers`. */
  defaultSampler: string;
  samplers: { id: string; name: string }[];
  /** Tokens the text encoder reads, start and end included. */
  promptTokens: number;
  supportsNegative: boolean;
  /** Bytes of weights on the GPU. */
  weightsBytes: number;
}

export interface Settings {
  prompt: string;
  negativePrompt: string;
  steps: number;
  guidance: number;
  sampler: string;
  /** An unsigned 64-bit number in decimal. */
  seed: string;
  width: number;
  height: number;
  /** Only for samplers that take it. */
  eta?: number;
}

export interface Plan {
  weightsBytes: number;
  activationBytes: number;
  dispatchesPerStep: number;
  /** Evaluations of the network for one picture. */
  calls: number;
}

export type Phase = "text" | "denoise" | "decode";

/** Eight-bit RGBA, rows from the top, no padding: `rgba.length === width * height * 4`. */
export interface Pixels {
  width: number;
  height: number;
  rgba: Uint8Array;
}

export type GenerationEvent =
  | { type: "phase"; phase: Phase }
  | { type: "step"; step: number; steps: number; secondsPerStep: number; preview?: Pixels }
  | { type: "truncated"; tokens: number };

export interface GeneratedImage extends Pixels {
  seed: string;
  /** Seconds. */
  timings: { text: number; denoise: number; decode: number; total: number };
  /** The picture held non-finite values in f16 and was drawn again in f32. */
  retriedInF32: boolean;
}

/** What every promise of the engine rejects with. */
export interface EngineFailure {
  /** Stable; the list is `ErrorKind::code` in `src/error.rs`. */
  code: string;
  /** A sentence that names the thing, in English. */
  message: string;
}
