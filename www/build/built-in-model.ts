import { createReadStream } from "node:fs";
import { cp, readdir, stat } from "node:fs/promises";
import { join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const models = fileURLToPath(new URL("../../models/", import.meta.url));

/** Puts the repository's `models/` beside the page: copied into the build, read in place by the development server. */
export function builtInModel(): Plugin {
  let output = "";
  let builds = false;
  return {
    name: "built-in-model",
    configResolved(config) {
      output = join(config.root, config.build.outDir, "models");
      // Unit tests close a bundle too, one that they never made.
      builds = config.command === "build";
    },
    configureServer(server) {
      server.middlewares.use("/models", (request, response, next) => {
        const path = normalize(join(models, decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname)));
        if (!path.startsWith(models.endsWith(sep) ? models : models + sep)) return next();
        stat(path).then(
          (entry) => {
            if (!entry.isFile()) return next();
            response.setHeader("Content-Length", entry.size);
            createReadStream(path).pipe(response);
          },
          () => {
            response.statusCode = 404;
            response.end();
          },
        );
      });
    },
    async closeBundle() {
      if (!builds) return;
      const present = await readdir(models).catch(() => []);
      if (present.length > 0) await cp(models, output, { recursive: true });
    },
  };
}
