/**
 * What the next picture will be made with.
 *
 * A model brings its defaults; what the visitor has set before the first model arrived is kept. Every value is brought
 * into its range when it is set, so what leaves here is always something the engine can be asked for.
 */

import type { ModelInfo, Settings } from "../engine/contract.ts";
import { Store } from "./store.ts";

export const limits = {
  steps: { min: 1, max: 150 },
  /** Up to 1 there is no guidance; distilled models have 0. */
  guidance: { min: 0, max: 30, step: 0.1 },
  side: { min: 16, max: 2048 },
} as const;

/** Random seeds are drawn from 0 to 2^32 - 1, the range other tools use; typed ones may have 64 bits. */
const randomSeeds = 2 ** 32;
const largestSeed = 2n ** 64n - 1n;

const beforeAnyModel: Settings = {
  prompt: "",
  negativePrompt: "",
  steps: 20,
  guidance: 4,
  sampler: "",
  seed: "0",
  width: 64,
  height: 64,
};

export class SettingsStore extends Store {
  #values: Settings;
  #seedLocked = false;
  #usedSeed: string | undefined;
  #touched = new Set<keyof Settings>();
  #model: ModelInfo | undefined;

  constructor(prompt: string, seed: string = randomSeed()) {
    super();
    this.#values = { ...beforeAnyModel, prompt, seed };
  }

  get values(): Readonly<Settings> {
    return this.#values;
  }

  get seedLocked(): boolean {
    return this.#seedLocked;
  }

  /** The model whose ranges and samplers apply. */
  get model(): ModelInfo | undefined {
    return this.#model;
  }

  set(patch: Partial<Settings>): void {
    for (const name of Object.keys(patch) as (keyof Settings)[]) this.#touched.add(name);
    this.#put({ ...this.#values, ...patch });
  }

  /** Takes over the settings of an earlier picture and keeps its seed. */
  restore(settings: Settings): void {
    this.#seedLocked = true;
    this.set(settings);
  }

  lockSeed(locked: boolean): void {
    this.#seedLocked = locked;
    this.changed();
  }

  /** The settings of the picture that is to be made now: an unlocked seed that was used already is drawn anew. */
  take(): Settings {
    if (!this.#seedLocked && this.#values.seed === this.#usedSeed) this.rollSeed();
    this.#usedSeed = this.#values.seed;
    return { ...this.#values };
  }

  rollSeed(): void {
    this.#put({ ...this.#values, seed: randomSeed() });
  }

  swapSides(): void {
    this.set({ width: this.#values.height, height: this.#values.width });
  }

  /** Back to the model's own picture size. */
  resetSides(): void {
    const size = this.#model?.sampleSize;
    if (size) this.set({ width: size[0], height: size[1] });
  }

  adopt(model: ModelInfo): void {
    const first = this.#model === undefined;
    this.#model = model;
    const defaults: Partial<Settings> = {
      steps: model.defaultSteps,
      guidance: model.defaultGuidance,
      sampler: model.defaultSampler,
      width: model.sampleSize[0],
      height: model.sampleSize[1],
    };
    if (first) for (const name of this.#touched) delete defaults[name];
    this.#put({ ...this.#values, ...defaults });
  }

  #put(values: Settings): void {
    this.#values = this.#fit(values);
    this.changed();
  }

  #fit(values: Settings): Settings {
    const step = this.#model?.sizeStep ?? 8;
    const samplers = this.#model?.samplers ?? [];
    const known = samplers.length === 0 || samplers.some(({ id }) => id === values.sampler);
    return {
      ...values,
      steps: Math.round(within(values.steps, limits.steps, this.#values.steps)),
      guidance: Math.round(within(values.guidance, limits.guidance, this.#values.guidance) * 100) / 100,
      width: side(values.width, step, this.#values.width),
      height: side(values.height, step, this.#values.height),
      seed: seed(values.seed, this.#values.seed),
      sampler: known ? values.sampler : (this.#model?.defaultSampler ?? ""),
    };
  }
}

export function randomSeed(): string {
  const drawn = new Uint32Array(1);
  crypto.getRandomValues(drawn);
  return String((drawn[0] ?? 0) % randomSeeds);
}

function within(value: number, range: { min: number; max: number }, fallback: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(value, range.min), range.max) : fallback;
}

function side(value: number, step: number, fallback: number): number {
  const smallest = Math.ceil(limits.side.min / step) * step;
  const largest = Math.floor(limits.side.max / step) * step;
  const stepped = Math.round(within(value, limits.side, fallback) / step) * step;
  return Math.min(Math.max(stepped, smallest), largest);
}

function seed(text: string, fallback: string): string {
  const digits = text.trim();
  if (!/^\d+$/.test(digits)) return fallback;
  const value = BigInt(digits);
  return String(value > largestSeed ? largestSeed : value);
}
