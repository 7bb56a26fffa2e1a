/**
 * The messages between the page and the engine's worker.
 *
 * Every operation has an id; its replies carry it: any number of `event`s, then one `done` or `failed`. `cancel` is the
 * only message that does not wait for the operation before it.
 */

import type { Device, GeneratedImage, GenerationEvent, ModelInfo, Plan, Quantization, Settings } from "../engine/contract.ts";
import type { ModelSource } from "../sources/model-source.ts";
import type { FailureRecord } from "./failure.ts";

export interface LoadProgress {
  /** Bytes of weight files read so far, and in all. */
  done: number;
  total: number;
  /** Bytes that came over the network so far; ahead of `done` where a server sends files whole. */
  received: number;
  /** The file being read. */
  what: string;
}

/** What can be asked of the worker: request, result, and what is told on the way. */
export interface Operations {
  start: { request: Record<never, never>; result: Device; event: never };
  load: { request: { source: ModelSource; quantization: Quantization }; result: ModelInfo; event: LoadProgress };
  plan: { request: { settings: Settings }; result: Plan; event: never };
  generate: { request: { settings: Settings }; result: GeneratedImage; event: GenerationEvent };
}

export type OperationName = keyof Operations;

export type OperationRequest = {
  [Name in OperationName]: { id: number; operation: Name } & Operations[Name]["request"];
}[OperationName];

export type PageMessage = OperationRequest | { id: number; operation: "cancel" };

export type WorkerMessage =
  | { id: number; reply: "event"; event: LoadProgress | GenerationEvent }
  | { id: number; reply: "done"; result: Operations[OperationName]["result"] }
  | { id: number; reply: "failed"; failure: FailureRecord };
