import { defineConfig } from "vitest/config";
import { builtInModel } from "./build/built-in-model.ts";
import { contentSecurityPolicy } from "./build/content-security-policy.ts";
import { requireEngine } from "./build/require-engine.ts";

export default defineConfig({
  // Relative, so that the folder works on any static host and below any path.
  base: "./",
  plugins: [requireEngine(), builtInModel(), contentSecurityPolicy()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    // The policy allows data: for pictures only; everything else stays a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { fs: { allow: [".."] } },
  test: { include: ["tests/unit/**/*.test.ts"], environment: "node", testTimeout: 30_000 },
});
