/** Builds the page with the stand-in engine, to be looked at: `vite build --config tests/stand-in/vite.config.ts`. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { builtInModel } from "../../build/built-in-model.ts";
import { contentSecurityPolicy } from "../../build/content-security-policy.ts";

const standIn = fileURLToPath(new URL("./darkroom.ts", import.meta.url));
const alias = [{ find: /^.*\/pkg\/darkroom\.js$/, replacement: standIn }];

export default defineConfig({
  root: fileURLToPath(new URL("../../", import.meta.url)),
  base: "./",
  resolve: { alias },
  plugins: [builtInModel(), contentSecurityPolicy()],
  worker: { format: "es" },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, outDir: "node_modules/.cache/stand-in", emptyOutDir: true },
});
