/**
 * A small static server with ranges, and with faults on request, for the browser tests.
 *
 * Faults by query-free path, set with `server.fault(path, fault)`:
 * `{ status }` answers so; `{ truncateTo }` pretends the file is that short; `{ breakAfter, times }` cuts the connection
 * after so many bytes, that many times; `{ wholeOnly: true }` ignores ranges; `{ delay }` waits milliseconds per 64 KiB.
 */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".woff2": "font/woff2",
  ".woff": "font/woff",
  ".txt": "text/plain; charset=utf-8",
};

/** `mounts`: from a path prefix to a folder; the longest prefix wins. */
export async function serve(mounts) {
  const faults = new Map();
  const requests = [];
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);

  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    requests.push({ method: request.method, path, range: request.headers.range });
    const prefix = prefixes.find((candidate) => path.startsWith(candidate));
    const fault = faults.get(path) ?? {};
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Expose-Headers", "Content-Range");
    if (fault.status) return answer(response, fault.status);
    if (prefix === undefined) return answer(response, 404);
    let file = join(mounts[prefix], path.slice(prefix.length));
    let entry = await stat(file).catch(() => undefined);
    if (entry?.isDirectory()) {
      file = join(file, "index.html");
      entry = await stat(file).catch(() => undefined);
    }
    if (!entry) return answer(response, 404);
    await send(request, response, file, Math.min(entry.size, fault.truncateTo ?? entry.size), fault);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    fault: (path, fault) => faults.set(path, fault),
    heal: () => faults.clear(),
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}

function answer(response, status) {
  response.statusCode = status;
  response.end();
}

async function send(request, response, file, size, fault) {
  response.setHeader("Content-Type", types[extname(file)] ?? "application/octet-stream");
  response.setHeader("Cache-Control", "no-store");
  const asked = fault.wholeOnly ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  let start = 0;
  let end = size;
  if (asked) {
    start = Number(asked[1]);
    end = Math.min(size, asked[2] === "" ? size : Number(asked[2]) + 1);
    if (start >= size) {
      response.setHeader("Content-Range", `bytes */${size}`);
      return answer(response, 416);
    }
    response.statusCode = 206;
    response.setHeader("Content-Range", `bytes ${start}-${end - 1}/${size}`);
  }
  response.setHeader("Content-Length", end - start);
  if (request.method === "HEAD" || end === start) return response.end();
  let sent = 0;
  for await (const chunk of createReadStream(file, { start, end: end - 1, highWaterMark: 64 * 1024 })) {
    if (fault.delay) await pause(fault.delay);
    if (fault.breakAfter !== undefined && fault.times > 0 && sent + chunk.length > fault.breakAfter) {
      fault.times -= 1;
      response.write(chunk.subarray(0, Math.max(0, fault.breakAfter - sent)));
      await pause(300); // what was sent arrives before the connection ends
      return response.destroy();
    }
    if (response.destroyed) return;
    if (!response.write(chunk)) await room(response);
    sent += chunk.length;
  }
  response.end();
}

/** Resolves when more can be written, or when the other side is gone. */
function room(response) {
  return new Promise((resolve) => {
    const go = () => {
      response.off("drain", go).off("close", go);
      resolve();
    };
    response.on("drain", go).on("close", go);
  });
}
