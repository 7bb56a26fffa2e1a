/** The worker's entry: the engine on one side, the page's port on the other. */

import type { EngineModule } from "../engine/contract.ts";
import type { PageMessage, WorkerMessage } from "../bridge/protocol.ts";
import { EngineHost } from "./engine-host.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<PageMessage>) => void) | null;
  postMessage(message: WorkerMessage, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

const host = new EngineHost(
  async (): Promise<EngineModule> => import("../engine/pkg/darkroom.js"),
  (message, transfer) => scope.postMessage(message, transfer),
);

scope.onmessage = (event) => host.receive(event.data);
