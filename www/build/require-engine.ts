import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const engine = fileURLToPath(new URL("../src/engine/pkg/darkroom.js", import.meta.url));

/** Says in one sentence what to do when the page is built before the engine. */
export function requireEngine(): Plugin {
  return {
    name: "require-engine",
    apply: (_, { mode }) => mode !== "test",
    buildStart() {
      if (!existsSync(engine)) {
        this.error("The engine is not built yet: run `cargo xtask wasm` first, which writes www/src/engine/pkg/darkroom.js.");
      }
    },
  };
}
