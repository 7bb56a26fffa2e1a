/** The making of one picture: waiting for the model, the phases, the steps, and how it ended. */

import type { GenerationEvent, Phase, Pixels, Settings } from "../engine/contract.ts";
import { Failure } from "../bridge/failure.ts";
import { Store } from "./store.ts";

export interface Progress {
  settings: Settings;
  /** `model`: waiting for it to be loaded. */
  phase: "model" | Phase;
  step: number;
  steps: number;
  secondsPerStep: number | undefined;
  /** Of `performance.now()`, when the last event came; remaining times count down from there. */
  toldAt: number;
  preview: Pixels | undefined;
  cancelling: boolean;
}

export class RunStore extends Store {
  #progress: Progress | undefined;
  #failure: Failure | undefined;
  #tokens: number | undefined;
  #cancel: AbortController | undefined;

  /** Undefined while nothing is being made. */
  get progress(): Progress | undefined {
    return this.#progress;
  }

  /** Why the last attempt gave no picture. A cancelled one is not a failure. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** How long the last prompt was, when it was too long to be read to its end. */
  get tokens(): number | undefined {
    return this.#tokens;
  }

  /** Runs `make` as the one thing in progress, and does nothing when there is one already. */
  async run(settings: Settings, make: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#progress) return;
    const cancel = new AbortController();
    this.#cancel = cancel;
    this.#failure = undefined;
    this.#tokens = undefined;
    this.#progress = {
      settings,
      phase: "model",
      step: 0,
      steps: settings.steps,
      secondsPerStep: undefined,
      toldAt: performance.now(),
      preview: undefined,
      cancelling: false,
    };
    this.changed();
    try {
      await make(cancel.signal);
    } catch (thrown) {
      const failure = Failure.from(thrown);
      if (failure.code !== "cancelled") this.#failure = failure;
    } finally {
      this.#progress = undefined;
      this.#cancel = undefined;
      this.changed();
    }
  }

  /** The settings as they are when the work begins: the model may have brought its own meanwhile. */
  adjust(settings: Settings): void {
    if (!this.#progress) return;
    this.#progress = { ...this.#progress, settings, steps: settings.steps };
    this.changed();
  }

  hear(event: GenerationEvent): void {
    if (!this.#progress) return;
    const progress = { ...this.#progress, toldAt: performance.now() };
    switch (event.type) {
      case "phase":
        progress.phase = event.phase;
        break;
      case "step":
        progress.step = event.step;
        progress.steps = event.steps;
        progress.secondsPerStep = event.secondsPerStep;
        progress.preview = event.preview ?? progress.preview;
        break;
      case "truncated":
        this.#tokens = event.tokens;
        break;
    }
    this.#progress = progress;
    this.changed();
  }

  cancel(): void {
    if (!this.#progress || !this.#cancel) return;
    this.#progress = { ...this.#progress, cancelling: true };
    this.#cancel.abort();
    this.changed();
  }

  dismissFailure(): void {
    this.#failure = undefined;
    this.changed();
  }
}
