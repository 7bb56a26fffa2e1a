/**
 * The page's state and what can be done with it, without any element: one object that the elements watch.
 *
 * It composes four stores, one per noun. Rejected: state inside the elements, because the same work is to be offered
 * without the page, as an embeddable element and as a library.
 */

import type { Device, Plan, Quantization, Settings } from "../engine/contract.ts";
import type { EngineClient } from "../bridge/engine-client.ts";
import { Failure } from "../bridge/failure.ts";
import type { ModelSource } from "../sources/model-source.ts";
import { GalleryStore } from "./gallery-store.ts";
import { ModelStore } from "./model-store.ts";
import { RunStore } from "./run-store.ts";
import { SettingsStore } from "./settings-store.ts";
import { Store } from "./store.ts";

/** Settings may rest this long before the engine is asked what they cost. */
const planMilliseconds = 200;

export interface Opening {
  source: ModelSource;
  quantization: Quantization;
  prompt: string;
}

export class Studio extends Store {
  readonly model: ModelStore;
  readonly settings: SettingsStore;
  readonly run = new RunStore();
  readonly gallery = new GalleryStore();
  readonly #client: EngineClient;
  #device: Device | undefined;
  #plan: Plan | undefined;
  #planFailure: Failure | undefined;
  #planTimer: ReturnType<typeof setTimeout> | undefined;
  #planned = "";

  constructor(client: EngineClient, opening: Opening) {
    super();
    this.#client = client;
    this.model = new ModelStore(client, opening.source, opening.quantization);
    this.settings = new SettingsStore(opening.prompt);
    for (const store of [this.model, this.settings, this.run, this.gallery]) store.watch(() => this.changed());
    for (const store of [this.model, this.settings, this.run]) store.watch(() => this.#planSoon());
    client.onended = () => this.model.lost();
  }

  /** The GPU, once it has been opened. */
  get device(): Device | undefined {
    return this.#device;
  }

  /** What the next picture costs; undefined while no model is there. */
  get plan(): Plan | undefined {
    return this.#plan;
  }

  /** Why the settings cannot be carried out, e.g. a picture too large for the GPU. */
  get planFailure(): Failure | undefined {
    return this.#planFailure;
  }

  /** Loads the model, takes over its defaults. Failures are kept in `model.state`. */
  async load(source: ModelSource, quantization: Quantization): Promise<void> {
    void this.#meetDevice();
    const requantized = source === this.model.source && this.settings.model !== undefined;
    try {
      const info = await this.model.load(source, quantization);
      if (!requantized) this.settings.adopt(info);
    } catch {
      // Shown from the model's state.
    }
  }

  /** Asks for the GPU's name and limits; a new worker may have been given another GPU. */
  async #meetDevice(): Promise<void> {
    try {
      this.#device = await this.#client.start();
      this.changed();
    } catch {
      // The load that follows fails for the same reason and tells it.
    }
  }

  /** Loads the model that the page opens with. */
  open(): Promise<void> {
    return this.load(this.model.source, this.model.quantization);
  }

  /** Makes one picture; waits for the model first, or loads it again when it was lost. */
  async generate(): Promise<void> {
    if (this.run.progress) return;
    await this.run.run(this.settings.take(), (signal) => this.#generate(signal));
  }

  cancel(): void {
    this.run.cancel();
  }

  /** Gives the GPU back: for the moment the visitor leaves the page. */
  close(): void {
    this.#client.end();
  }

  async #generate(signal: AbortSignal): Promise<void> {
    const info = await unlessAborted(this.model.arrived(), signal);
    if (this.settings.model === undefined) this.settings.adopt(info);
    const settings: Settings = { ...this.settings.values };
    this.run.adjust(settings);
    const { quantization } = this.model;
    const image = await this.#client.generate(settings, { signal, onevent: (event) => this.run.hear(event) });
    await this.gallery.add(image, {
      settings: { ...settings, seed: image.seed },
      modelName: info.name,
      samplerName: info.samplers.find(({ id }) => id === settings.sampler)?.name ?? settings.sampler,
      quantization,
      timings: image.timings,
      retriedInF32: image.retriedInF32,
    });
  }

  /** The plan follows the settings, except while a picture is being made: the engine does one thing at a time. */
  #planSoon(): void {
    if (this.model.state.status !== "ready") {
      this.#planned = "";
      this.#plan = undefined;
      this.#planFailure = undefined;
      return;
    }
    if (this.run.progress) return;
    clearTimeout(this.#planTimer);
    this.#planTimer = setTimeout(() => void this.#planNow(), planMilliseconds);
  }

  async #planNow(): Promise<void> {
    if (this.run.progress || this.model.state.status !== "ready") return;
    const { steps, guidance, sampler, width, height } = this.settings.values;
    const asked = JSON.stringify([this.model.quantization, steps, guidance > 1, sampler, width, height]);
    if (asked === this.#planned) return;
    this.#planned = asked;
    try {
      this.#plan = await this.#client.plan(this.settings.values);
      this.#planFailure = undefined;
    } catch (thrown) {
      this.#plan = undefined;
      this.#planFailure = Failure.from(thrown);
    }
    this.changed();
  }
}

/** The promise's value, or a `cancelled` failure as soon as the signal is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Failure("cancelled", "Cancelled."));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
