/**
 * A stand-in for the WebAssembly package, for looking at the page and for unit tests where no engine is built. It keeps
 * the contract (order of events, cancelling, failures, one call at a time) and draws a made-up picture. It is outside
 * `src/`, and the shipped build cannot reach it.
 */

import type {
  Device,
  Engine as EngineContract,
  FolderHandle,
  GeneratedImage,
  GenerationEvent,
  ModelInfo,
  Pixels,
  Plan,
  Quantization,
  Settings,
} from "../../src/engine/contract.ts";

/** Seconds that things take; a test sets them to nothing. */
export const pace = { file: 0.25, step: 0.12 };

const device: Device = { name: "Stand-in graphics processor", f16: false, subgroups: false, maxBufferBytes: 268435456, maxBindingBytes: 134217728 };

const weightFiles = ["text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"];

const info: ModelInfo = {
  name: "Emoji",
  family: "Stable Diffusion",
  sampleSize: [64, 64],
  sizeStep: 8,
  defaultSteps: 20,
  defaultGuidance: 4,
  defaultSampler: "default",
  samplers: [
    { id: "default", name: "Default" },
    { id: "euler", name: "Euler" },
    { id: "euler-a", name: "Euler a" },
    { id: "dpm++2m-karras", name: "DPM++ 2M Karras" },
    { id: "ddim", name: "DDIM" },
  ],
  promptTokens: 77,
  supportsNegative: true,
  weightsBytes: 28_400_000,
};

export default function init(): Promise<unknown> {
  return Promise.resolve();
}

export class Engine implements EngineContract {
  readonly device = JSON.stringify(device);
  #loaded: { quantization: Quantization } | undefined;
  #busy = false;
  #cancelled = false;

  static create(): Promise<Engine> {
    return Promise.resolve(new Engine());
  }

  load(folder: FolderHandle, options: { quantization: Quantization }, onprogress: (done: number, total: number, what: string) => void): Promise<string> {
    return this.#alone(async () => {
      this.#loaded = undefined;
      const index = await folder.open("model_index.json");
      if (!index) throw failure("not-found", `model_index.json was not found in ${folder.name}.`);
      const classes = JSON.parse(new TextDecoder().decode(await index.read(0, index.size))) as Record<string, unknown>;
      if (classes["_class_name"] !== "StableDiffusionPipeline") throw failure("unsupported", `The class ${String(classes["_class_name"])} is not known.`);
      const files = await Promise.all(weightFiles.map((path) => folder.open(path)));
      const total = files.reduce((sum, file) => sum + (file?.size ?? 0), 0);
      let done = 0;
      for (const [i, file] of files.entries()) {
        if (!file) throw failure("not-found", `${weightFiles[i]} was not found in ${folder.name}.`);
        const part = Math.max(1, Math.ceil(file.size / 8));
        for (let start = 0; start < file.size; start += part) {
          const bytes = await file.read(start, Math.min(file.size, start + part));
          done += bytes.length;
          onprogress(done, total, file.name);
          await this.#rest(pace.file);
        }
      }
      this.#loaded = options;
      return JSON.stringify({ ...info, name: folder.name });
    });
  }

  cancel(): void {
    if (this.#busy) this.#cancelled = true;
  }

  plan(settings: string): string {
    if (this.#busy) throw failure("internal", "plan was called while the engine was busy.");
    const { width, height, steps } = JSON.parse(settings) as Settings;
    if (width * height > 1024 * 1024) throw failure("out-of-memory", `${width} x ${height} pixels do not fit.`);
    const plan: Plan = { weightsBytes: info.weightsBytes, activationBytes: width * height * 2200, dispatchesPerStep: 214, calls: steps };
    return JSON.stringify(plan);
  }

  generate(settings: string, onevent: (event: GenerationEvent) => void): Promise<GeneratedImage> {
    return this.#alone(async () => {
      if (!this.#loaded) throw failure("internal", "No model is loaded.");
      const { prompt, steps, width, height, seed } = JSON.parse(settings) as Settings;
      if (prompt.includes("lose the device")) throw failure("device-lost", "The device was lost.");
      const started = performance.now();
      onevent({ type: "phase", phase: "text" });
      if (prompt.split(/\s+/).length > 75) onevent({ type: "truncated", tokens: prompt.split(/\s+/).length + 2 });
      await this.#rest(pace.step);
      onevent({ type: "phase", phase: "denoise" });
      for (let step = 1; step <= steps; step += 1) {
        await this.#rest(pace.step);
        onevent({ type: "step", step, steps, secondsPerStep: pace.step, preview: drawing(width / 4, height / 4, seed, step / steps) });
      }
      onevent({ type: "phase", phase: "decode" });
      await this.#rest(pace.step * 2);
      const total = (performance.now() - started) / 1000;
      return { ...drawing(width, height, seed, 1), seed, timings: { text: 0.1, denoise: total - 0.3, decode: 0.2, total }, retriedInF32: false };
    });
  }

  unload(): void {
    this.#loaded = undefined;
  }

  free(): void {
    this.#loaded = undefined;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy) throw failure("internal", "The engine was asked for two things at once.");
    this.#busy = true;
    this.#cancelled = false;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }

  async #rest(seconds: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (this.#cancelled) throw failure("cancelled", "Cancelled.");
  }
}

function failure(code: string, message: string) {
  return { code, message };
}

/** A round fruit with a leaf out of noise; `clearness` from 0 to 1. The seed turns its colour. */
function drawing(width: number, height: number, seed: string, clearness: number): Pixels {
  const rgba = new Uint8Array(width * height * 4);
  let state = Number(BigInt(seed) % 0xfffffffbn) + 1;
  const noise = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const hue = Number(BigInt(seed) % 97n) / 97;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const u = (x + 0.5) / width - 0.5;
      const v = (y + 0.5) / height - 0.5;
      const body = Math.hypot(u, (v - 0.06) * 1.08) < 0.33;
      const shine = Math.hypot(u + 0.12, v + 0.06) < 0.07;
      const leaf = Math.hypot((u - 0.08) * 1.1 + (v + 0.33) * 0.7, (v + 0.33) * 1.8 - (u - 0.08) * 0.3) < 0.1;
      const stalk = Math.abs(u + v * 0.15 + 0.03) < 0.022 && v < -0.18 && v > -0.4;
      const clean = leaf ? [88, 160, 62] : stalk ? [106, 70, 45] : shine ? [255, 214, 205] : body ? [214 - 60 * hue, 40 + 130 * hue, 46 - v * 60] : [252, 251, 248];
      for (let c = 0; c < 3; c += 1) {
        const value = (clean[c] ?? 0) * clearness + noise() * 255 * (1 - clearness);
        rgba[(y * width + x) * 4 + c] = Math.max(0, Math.min(255, Math.round(value)));
      }
      rgba[(y * width + x) * 4 + 3] = 255;
    }
  }
  return { width, height, rgba };
}
