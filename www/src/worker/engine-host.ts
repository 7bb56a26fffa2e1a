/**
 * Owns the engine inside the worker: makes it when first needed, and lets one operation run at a time.
 *
 * Kept apart from the worker's entry so that it can be tested with a stand-in engine and no worker.
 */

import type { Device, Engine, EngineModule, GenerationEvent, ModelInfo, Pixels, Plan } from "../engine/contract.ts";
import { Failure } from "../bridge/failure.ts";
import type { LoadProgress, OperationRequest, Operations, PageMessage, WorkerMessage } from "../bridge/protocol.ts";
import { openFolder } from "../sources/open-folder.ts";
import { adapterName } from "./adapter-name.ts";

/** Load progress is told to the page at most this often. */
const progressMilliseconds = 100;

export class EngineHost {
  readonly #importModule: () => Promise<EngineModule>;
  readonly #post: (message: WorkerMessage, transfer: Transferable[]) => void;
  readonly #cancels = new Map<number, AbortController>();
  #engine: Promise<Engine> | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(importModule: () => Promise<EngineModule>, post: (message: WorkerMessage, transfer: Transferable[]) => void) {
    this.#importModule = importModule;
    this.#post = post;
  }

  receive(message: PageMessage): void {
    if (message.operation === "cancel") {
      this.#cancels.get(message.id)?.abort();
      return;
    }
    const cancel = new AbortController();
    this.#cancels.set(message.id, cancel);
    this.#turn = this.#turn.then(() => this.#answer(message, cancel.signal));
  }

  async #answer(request: OperationRequest, signal: AbortSignal): Promise<void> {
    const { id } = request;
    try {
      if (signal.aborted) throw cancelled();
      const result = await this.#carryOut(request, signal);
      this.#post({ id, reply: "done", result }, transferable(result));
    } catch (thrown) {
      const failure = signal.aborted ? cancelled() : Failure.from(thrown);
      this.#post({ id, reply: "failed", failure: failure.toRecord() }, []);
    } finally {
      this.#cancels.delete(id);
    }
  }

  async #carryOut(request: OperationRequest, signal: AbortSignal): Promise<Operations[OperationRequest["operation"]]["result"]> {
    const engine = await this.#open();
    if (signal.aborted) throw cancelled();
    switch (request.operation) {
      case "start":
        return this.#device(engine);
      case "load":
        return this.#load(engine, request, signal);
      case "plan":
        return JSON.parse(engine.plan(JSON.stringify(request.settings))) as Plan;
      case "generate":
        return cancellable(engine, signal, () =>
          engine.generate(JSON.stringify(request.settings), (event) => this.#tell(request.id, event)),
        );
    }
  }

  /** WebGPU through WebAssembly knows no names, so the browser is asked. */
  async #device(engine: Engine): Promise<Device> {
    const device = JSON.parse(engine.device) as Device;
    return { ...device, name: (await adapterName()) || device.name };
  }

  async #load(engine: Engine, request: OperationRequest & { operation: "load" }, signal: AbortSignal): Promise<ModelInfo> {
    const progress: LoadProgress = { done: 0, total: 0, received: 0, what: "" };
    let told = Number.NEGATIVE_INFINITY;
    const tell = () => {
      const now = performance.now();
      const complete = progress.total > 0 && progress.done === progress.total;
      if (now - told < progressMilliseconds && !complete) return;
      told = now;
      this.#tell(request.id, { ...progress });
    };
    const onreceived = (bytes: number) => {
      progress.received += bytes;
      tell();
    };
    const folder = openFolder(request.source, { signal, onreceived });
    const info = await cancellable(engine, signal, () =>
      engine.load(folder, { quantization: request.quantization }, (done, total, what) => {
        Object.assign(progress, { done, total, what });
        tell();
      }),
    );
    return JSON.parse(info) as ModelInfo;
  }

  #tell(id: number, event: LoadProgress | GenerationEvent): void {
    this.#post({ id, reply: "event", event }, transferable("preview" in event ? event.preview : undefined));
  }

  /** The engine, made on first use; a failed attempt is not kept. */
  #open(): Promise<Engine> {
    this.#engine ??= this.#create().catch((thrown: unknown) => {
      this.#engine = undefined;
      throw thrown;
    });
    return this.#engine;
  }

  async #start(): Promise<EngineModule> {
    try {
      const module = await this.#importModule();
      await module.default();
      return module;
    } catch (thrown) {
      // `internal` ends the worker: a browser may remember that an import failed for as long as the worker lives.
      throw new Failure("internal", `The engine could not be started: ${Failure.from(thrown).message}`);
    }
  }

  async #create(): Promise<Engine> {
    const module = await this.#start();
    return module.Engine.create({ activations: "auto" });
  }
}

async function cancellable<T>(engine: Engine, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  const cancel = () => engine.cancel();
  signal.addEventListener("abort", cancel);
  try {
    return await run();
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function cancelled(): Failure {
  return new Failure("cancelled", "Cancelled.");
}

/** The pixels' buffer, where it is the pixels' own and not a window on WebAssembly memory, which cannot be moved. */
function transferable(value: unknown): Transferable[] {
  const rgba = typeof value === "object" && value !== null ? (value as Partial<Pixels>).rgba : undefined;
  return rgba instanceof Uint8Array && rgba.byteLength === rgba.buffer.byteLength ? [rgba.buffer as ArrayBuffer] : [];
}
