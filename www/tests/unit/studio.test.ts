import { beforeEach, expect, test, vi } from "vitest";
import { EngineClient, type WorkerPort } from "../../src/bridge/engine-client.ts";
import type { PageMessage, WorkerMessage } from "../../src/bridge/protocol.ts";
import type { EngineModule } from "../../src/engine/contract.ts";
import type { LocalFile, ModelSource } from "../../src/sources/model-source.ts";
import { Studio } from "../../src/studio/studio.ts";
import { EngineHost } from "../../src/worker/engine-host.ts";
import * as standIn from "../stand-in/darkroom.ts";

const contents: Record<string, string> = {
  "model_index.json": JSON.stringify({ _class_name: "StableDiffusionPipeline" }),
  "text_encoder/model.safetensors": "t".repeat(100),
  "unet/diffusion_pytorch_model.safetensors": "u".repeat(300),
  "vae/diffusion_pytorch_model.safetensors": "v".repeat(50),
};

function source(changes: Record<string, string | undefined> = {}): ModelSource {
  const files: LocalFile[] = Object.entries({ ...contents, ...changes }).flatMap(([path, text]) =>
    text === undefined ? [] : [{ path, file: new File([text], path) }],
  );
  return { kind: "files", name: "tiny", files };
}

/** A worker in the same thread: messages are cloned and delivered later, as by the real port. */
class SameThreadWorker implements WorkerPort {
  static started: SameThreadWorker[] = [];
  onmessage: ((event: MessageEvent<WorkerMessage>) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  readonly received: PageMessage[] = [];
  ended = false;
  readonly #host: EngineHost;

  constructor(module: EngineModule) {
    SameThreadWorker.started.push(this);
    this.#host = new EngineHost(
      async () => module,
      (message, transfer) => {
        const data = structuredClone(message, { transfer });
        queueMicrotask(() => !this.ended && this.onmessage?.({ data } as MessageEvent<WorkerMessage>));
      },
    );
  }

  postMessage(message: PageMessage): void {
    this.received.push(message);
    // Files do not survive Node's clone; the real port carries them.
    queueMicrotask(() => !this.ended && this.#host.receive(message));
  }

  terminate(): void {
    this.ended = true;
  }
}

function studio(opening: Partial<{ source: ModelSource; module: EngineModule }> = {}) {
  const client = new EngineClient(() => new SameThreadWorker(opening.module ?? standIn));
  return new Studio(client, { source: opening.source ?? source(), quantization: "q8_0", prompt: "a red apple" });
}

beforeEach(() => {
  SameThreadWorker.started = [];
  standIn.pace.file = 0;
  standIn.pace.step = 0;
});

test("one press gives a picture, even before the model is there", async () => {
  const room = studio();
  const opening = room.open();
  const phases = new Set<string>();
  room.run.watch(() => room.run.progress && phases.add(room.run.progress.phase));
  await room.generate();
  await opening;
  const [picture] = room.gallery.pictures;
  expect(room.gallery.pictures).toHaveLength(1);
  expect(picture).toMatchObject({ frame: 1, width: 64, height: 64, modelName: "tiny", samplerName: "Default", quantization: "q8_0" });
  expect(picture?.file.type).toBe("image/png");
  expect([...phases]).toEqual(["model", "text", "denoise", "decode"]);
  expect(room.device?.name).toContain("Stand-in");
  expect(SameThreadWorker.started).toHaveLength(1);
});

test("progress comes by step with a preview, and the device can be told from it", async () => {
  const room = studio();
  await room.open();
  room.settings.set({ steps: 5 });
  const steps: number[] = [];
  room.run.watch(() => {
    const { progress } = room.run;
    if (progress?.preview && steps.at(-1) !== progress.step) steps.push(progress.step);
  });
  await room.generate();
  expect(steps).toEqual([1, 2, 3, 4, 5]);
});

test("a run can be cancelled and the next one works", async () => {
  const room = studio();
  await room.open();
  standIn.pace.step = 0.02;
  const running = room.generate();
  await vi.waitFor(() => expect(room.run.progress?.step).toBeGreaterThan(1));
  room.cancel();
  expect(room.run.progress?.cancelling).toBe(true);
  await running;
  expect(room.run.failure).toBeUndefined();
  expect(room.gallery.pictures).toHaveLength(0);
  standIn.pace.step = 0;
  await room.generate();
  expect(room.gallery.pictures).toHaveLength(1);
  expect(SameThreadWorker.started).toHaveLength(1);
});

test("cancelling while the model is awaited leaves the load alone", async () => {
  const room = studio();
  standIn.pace.file = 0.01;
  const opening = room.open();
  const running = room.generate();
  room.cancel();
  await running;
  expect(room.run.progress).toBeUndefined();
  await opening;
  expect(room.model.state.status).toBe("ready");
});

test("a load can be stopped, and begun again by generating", async () => {
  const room = studio();
  standIn.pace.file = 0.01;
  const opening = room.open();
  await vi.waitFor(() => expect(room.model.state).toMatchObject({ status: "loading", progress: { total: 450 } }));
  room.model.cancel();
  await opening;
  expect(room.model.state).toMatchObject({ status: "failed", failure: { code: "cancelled" } });
  standIn.pace.file = 0;
  await room.generate();
  expect(room.gallery.pictures).toHaveLength(1);
});

test("a new model ends the load of the one before it", async () => {
  const room = studio();
  standIn.pace.file = 0.01;
  const first = room.open();
  const other = { ...source(), name: "other" };
  await room.load(other, "f16");
  await first;
  expect(room.model.state).toMatchObject({ status: "ready", info: { name: "other" } });
  expect([room.model.source.name, room.model.quantization]).toEqual(["other", "f16"]);
});

test.each([
  ["not-found", { "model_index.json": undefined }],
  ["unsupported", { "model_index.json": JSON.stringify({ _class_name: "KandinskyPipeline" }) }],
])("a model that fails with %s is told, and another one loads after it", async (code, changes) => {
  const room = studio({ source: source(changes) });
  await room.open();
  expect(room.model.state).toMatchObject({ status: "failed", failure: { code } });
  await room.generate();
  expect(room.run.failure).toMatchObject({ code });
  await room.load(source(), "q8_0");
  await room.generate();
  expect(room.gallery.pictures).toHaveLength(1);
  expect(room.run.failure).toBeUndefined();
});

test("a lost device ends the worker; the next picture starts another and loads the model again", async () => {
  const room = studio();
  await room.open();
  room.settings.set({ prompt: "lose the device" });
  await room.generate();
  expect(room.run.failure).toMatchObject({ code: "device-lost" });
  expect(room.model.state.status).toBe("absent");
  expect(SameThreadWorker.started[0]?.ended).toBe(true);
  room.settings.set({ prompt: "a red apple" });
  await room.generate();
  expect(room.gallery.pictures).toHaveLength(1);
  expect(SameThreadWorker.started).toHaveLength(2);
});

test("a trap in the WebAssembly is an internal failure, survived alike", async () => {
  let traps = 1;
  class Trapping extends standIn.Engine {
    static override async create(): Promise<standIn.Engine> {
      return new Trapping();
    }
    override generate(...given: Parameters<standIn.Engine["generate"]>) {
      if (traps-- > 0) throw new WebAssembly.RuntimeError("unreachable");
      return super.generate(...given);
    }
  }
  const room = studio({ module: { default: standIn.default, Engine: Trapping } });
  await room.open();
  await room.generate();
  expect(room.run.failure).toMatchObject({ code: "internal", message: "unreachable" });
  await room.generate();
  expect(room.gallery.pictures).toHaveLength(1);
});

test("a worker whose files do not arrive is a failure in words", async () => {
  const room = studio();
  const opening = room.open();
  SameThreadWorker.started[0]?.onerror?.({ message: "", preventDefault: () => undefined } as ErrorEvent);
  await opening;
  expect(room.model.state).toMatchObject({ status: "failed", failure: { code: "internal", message: expect.stringContaining("files") } });
});

test("an engine whose files do not arrive is fetched anew by the next try", async () => {
  let offline = true;
  const module = {
    default: async () => {
      if (offline) throw new TypeError("Failed to fetch");
    },
    Engine: standIn.Engine,
  };
  const room = studio({ module });
  await room.open();
  expect(room.model.state).toMatchObject({ status: "failed", failure: { message: expect.stringContaining("Failed to fetch") } });
  offline = false;
  await room.generate();
  expect(room.gallery.pictures).toHaveLength(1);
  expect(SameThreadWorker.started.length).toBeGreaterThan(1);
});

test("the plan follows the settings and is not asked for while a picture is made", async () => {
  const room = studio();
  await room.open();
  await vi.waitFor(() => expect(room.plan?.activationBytes).toBe(64 * 64 * 2200));
  standIn.pace.step = 0.03;
  const running = room.generate();
  room.settings.set({ width: 128 });
  await running;
  await vi.waitFor(() => expect(room.plan?.activationBytes).toBe(128 * 64 * 2200));
  expect(room.run.failure).toBeUndefined();
  room.settings.set({ width: 2048, height: 2048 });
  await vi.waitFor(() => expect(room.planFailure).toMatchObject({ code: "out-of-memory" }));
  expect(room.plan).toBeUndefined();
});

test("another precision loads the same model again and keeps the settings", async () => {
  const room = studio();
  await room.open();
  room.settings.set({ steps: 3 });
  await room.load(room.model.source, "q4_0");
  expect(room.settings.values.steps).toBe(3);
  await room.generate();
  expect(room.gallery.pictures[0]?.quantization).toBe("q4_0");
});

test("a prompt that is too long is told", async () => {
  const room = studio();
  room.settings.set({ prompt: "word ".repeat(100).trim() });
  await room.open();
  await room.generate();
  expect(room.run.tokens).toBe(102);
});

test("closing ends the worker and gives up what was running", async () => {
  const room = studio();
  await room.open();
  standIn.pace.step = 0.05;
  const running = room.generate();
  await vi.waitFor(() => expect(room.run.progress?.phase).toBe("denoise"));
  room.close();
  await running;
  expect(SameThreadWorker.started[0]?.ended).toBe(true);
  expect(room.run.failure).toBeUndefined();
  expect(room.model.state.status).toBe("absent");
});

test("removing the picture that is looked at shows its neighbour", async () => {
  const room = studio();
  await room.open();
  await room.generate();
  await room.generate();
  const [first, second] = room.gallery.pictures;
  expect(room.gallery.shown).toBe(second);
  expect(first?.settings.seed).not.toBe(second?.settings.seed);
  if (second) room.gallery.remove(second);
  expect(room.gallery.shown).toBe(first);
  if (first) room.gallery.remove(first);
  expect(room.gallery.shown).toBeUndefined();
});
