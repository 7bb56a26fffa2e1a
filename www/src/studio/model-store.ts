/** The model on the GPU, or on its way there. */

import type { ModelInfo, Quantization } from "../engine/contract.ts";
import { Failure } from "../bridge/failure.ts";
import type { EngineClient } from "../bridge/engine-client.ts";
import type { LoadProgress } from "../bridge/protocol.ts";
import type { ModelSource } from "../sources/model-source.ts";
import { Rate } from "./rate.ts";
import { Store } from "./store.ts";

export interface Loading extends LoadProgress {
  bytesPerSecond: number | undefined;
  remainingSeconds: number | undefined;
}

export type ModelState =
  | { status: "absent" }
  | { status: "loading"; progress: Loading }
  | { status: "ready"; info: ModelInfo }
  | { status: "failed"; failure: Failure };

export class ModelStore extends Store {
  #state: ModelState = { status: "absent" };
  #source: ModelSource;
  #quantization: Quantization;
  #cancel: AbortController | undefined;
  #arrival: Promise<ModelInfo> | undefined;
  readonly #client: EngineClient;

  constructor(client: EngineClient, source: ModelSource, quantization: Quantization) {
    super();
    this.#client = client;
    this.#source = source;
    this.#quantization = quantization;
  }

  get state(): ModelState {
    return this.#state;
  }

  get source(): ModelSource {
    return this.#source;
  }

  get quantization(): Quantization {
    return this.#quantization;
  }

  /** The model, loaded now if it is not there. Rejects with a {@link Failure}. */
  arrived(): Promise<ModelInfo> {
    return this.#arrival ?? this.load(this.#source, this.#quantization);
  }

  /** Replaces the model. A load that is still running is cancelled first. */
  load(source: ModelSource, quantization: Quantization): Promise<ModelInfo> {
    this.#cancel?.abort();
    const cancel = new AbortController();
    this.#cancel = cancel;
    this.#source = source;
    this.#quantization = quantization;
    const arrival = this.#load(cancel);
    this.#arrival = arrival;
    arrival.catch(() => {
      if (this.#arrival === arrival) this.#arrival = undefined;
    });
    return arrival;
  }

  cancel(): void {
    this.#cancel?.abort();
  }

  /** The worker has ended; the source is remembered for the next use. */
  lost(): void {
    if (this.#state.status !== "ready") return;
    this.#arrival = undefined;
    this.#show({ status: "absent" });
  }

  async #load(cancel: AbortController): Promise<ModelInfo> {
    const rate = new Rate();
    const show = (state: ModelState) => {
      if (this.#cancel === cancel) this.#show(state);
    };
    show({ status: "loading", progress: { done: 0, total: 0, received: 0, what: "", bytesPerSecond: undefined, remainingSeconds: undefined } });
    try {
      const info = await this.#client.load(this.#source, this.#quantization, {
        signal: cancel.signal,
        onevent: (progress) => {
          rate.add(Math.max(progress.done, progress.received), performance.now() / 1000);
          show({
            status: "loading",
            progress: { ...progress, bytesPerSecond: rate.perSecond, remainingSeconds: rate.remaining(progress.total) },
          });
        },
      });
      show({ status: "ready", info });
      return info;
    } catch (thrown) {
      const failure = Failure.from(thrown);
      show({ status: "failed", failure });
      throw failure;
    }
  }

  #show(state: ModelState): void {
    this.#state = state;
    this.changed();
  }
}
