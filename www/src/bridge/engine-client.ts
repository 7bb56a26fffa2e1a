/**
 * The page's side of the engine: promises, events and abort signals over the worker's port.
 *
 * The worker starts on first use. When its device or memory can no longer be trusted it is ended and the next use
 * starts a new one: ending a worker is the one way to give back both its GPU buffers and its WebAssembly memory, which
 * never shrinks. Rejected: repairing a lost device inside the same worker, a second path to the same end.
 */

import type { Device, GeneratedImage, GenerationEvent, ModelInfo, Plan, Quantization, Settings } from "../engine/contract.ts";
import type { ModelSource } from "../sources/model-source.ts";
import { endsWorker, Failure } from "./failure.ts";
import type { LoadProgress, OperationName, Operations, PageMessage, WorkerMessage } from "./protocol.ts";

/** The part of `Worker` that is used. */
export interface WorkerPort {
  postMessage(message: PageMessage): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<WorkerMessage>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(failure: Failure): void;
  onevent: ((event: never) => void) | undefined;
}

interface Watch<Event> {
  signal?: AbortSignal | undefined;
  onevent?: (event: Event) => void;
}

export class EngineClient {
  /** Called when the worker has ended, and with it the model on the GPU. */
  onended: (() => void) | undefined;
  readonly #startWorker: () => WorkerPort;
  readonly #waiting = new Map<number, Waiting>();
  #worker: WorkerPort | undefined;
  #lastId = 0;

  constructor(startWorker: () => WorkerPort) {
    this.#startWorker = startWorker;
  }

  start(): Promise<Device> {
    return this.#ask("start", {}, {});
  }

  load(source: ModelSource, quantization: Quantization, watch: Watch<LoadProgress>): Promise<ModelInfo> {
    return this.#ask("load", { source, quantization }, watch);
  }

  plan(settings: Settings): Promise<Plan> {
    return this.#ask("plan", { settings }, {});
  }

  generate(settings: Settings, watch: Watch<GenerationEvent>): Promise<GeneratedImage> {
    return this.#ask("generate", { settings }, watch);
  }

  /** Ends the worker at once; what was running rejects with `failure`. The next call starts a new worker. */
  end(failure = new Failure("cancelled", "The engine was closed.")): void {
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined;
    worker.onmessage = null;
    worker.onerror = null;
    worker.terminate();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(failure);
    this.onended?.();
  }

  #ask<Name extends OperationName>(
    operation: Name,
    request: Operations[Name]["request"],
    { signal, onevent }: Watch<Operations[Name]["event"]>,
  ): Promise<Operations[Name]["result"]> {
    if (signal?.aborted) return Promise.reject(new Failure("cancelled", "Cancelled."));
    const worker = this.#connect();
    const id = (this.#lastId += 1);
    const cancel = () => this.#worker?.postMessage({ id, operation: "cancel" });
    const answer = new Promise<Operations[Name]["result"]>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject, onevent });
    });
    signal?.addEventListener("abort", cancel);
    worker.postMessage({ id, operation, ...request } as PageMessage);
    return answer.finally(() => signal?.removeEventListener("abort", cancel));
  }

  #connect(): WorkerPort {
    if (this.#worker) return this.#worker;
    const worker = this.#startWorker();
    worker.onmessage = ({ data }) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.end(new Failure("internal", event.message || "The engine could not be started: its files did not arrive."));
    };
    this.#worker = worker;
    return worker;
  }

  #receive(message: WorkerMessage): void {
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    if (message.reply === "event") {
      waiting.onevent?.(message.event as never);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.reply === "done") {
      waiting.resolve(message.result);
      return;
    }
    const failure = new Failure(message.failure.code, message.failure.message);
    waiting.reject(failure);
    if (endsWorker(failure.code)) this.end(failure);
  }
}
