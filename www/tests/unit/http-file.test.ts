import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { HttpFile } from "../../src/sources/http-file.ts";
import { serve, type Server } from "../browser/server.mjs";

const big = new Uint8Array(randomBytes(5_000_000));
const small = new Uint8Array(randomBytes(1000));
let folder: string;
let server: Server;
let received: number;
let cancel: AbortController;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "darkroom-"));
  await writeFile(join(folder, "big.bin"), big);
  await writeFile(join(folder, "small.bin"), small);
  await writeFile(join(folder, "empty.bin"), "");
  await writeFile(join(folder, "start.html"), "<!doctype html>");
  server = await serve({ "/": folder });
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  received = 0;
  cancel = new AbortController();
  server.requests.length = 0;
});

afterEach(() => server.heal());

const open = (name: string) =>
  HttpFile.open(name, `${server.url}/${name}`, { signal: cancel.signal, onreceived: (bytes) => (received += bytes) });

async function opened(name: string): Promise<HttpFile> {
  const file = await open(name);
  if (!file) throw new Error(`${name} is not there`);
  return file;
}

test("a small file takes one request, however it is read", async () => {
  const file = await opened("small.bin");
  expect(file.size).toBe(1000);
  expect(await file.read(0, 1000)).toEqual(small);
  expect(await file.read(10, 20)).toEqual(small.subarray(10, 20));
  expect(await file.read(7, 7)).toEqual(new Uint8Array());
  expect(server.requests).toHaveLength(1);
  expect(received).toBe(1000);
});

test("an empty file has size 0", async () => {
  expect((await opened("empty.bin")).size).toBe(0);
});

test("reads in ascending order share few responses", async () => {
  const file = await opened("big.bin");
  const parts: Uint8Array[] = [];
  for (let start = 0; start < big.length; start += 10_007) parts.push(await file.read(start, Math.min(big.length, start + 10_007)));
  expect(Buffer.concat(parts).equals(big)).toBe(true);
  expect(server.requests.length).toBeLessThanOrEqual(4); // head, 1 MiB, 2 MiB, the rest
  expect(received).toBe(big.length);
});

test("a bias that lies before its weight costs no request of its own", async () => {
  const file = await opened("big.bin");
  for (let start = 100_000; start + 300_000 < big.length; start += 300_000) {
    const middle = start + 2_000;
    expect(Buffer.compare(await file.read(middle, start + 300_000), big.subarray(middle, start + 300_000))).toBe(0);
    expect(Buffer.compare(await file.read(start, middle), big.subarray(start, middle))).toBe(0);
  }
  expect(server.requests.length).toBeLessThanOrEqual(4);
});

test("reads in any order, and at once, give the right bytes", async () => {
  const file = await opened("big.bin");
  const spans = Array.from({ length: 40 }, (_, i) => {
    const start = (i * 2_654_435_761) % (big.length - 200_000);
    return [start, start + 1 + ((i * 40_503) % 200_000)] as const;
  });
  const read = await Promise.all(spans.map(([start, end]) => file.read(start, end)));
  for (const [i, [start, end]] of spans.entries()) expect(Buffer.compare(read[i] ?? new Uint8Array(), big.subarray(start, end))).toBe(0);
});

test("a broken connection is taken up where it broke", async () => {
  const file = await opened("big.bin");
  server.fault("/big.bin", { breakAfter: 700_000, times: 2 });
  expect(Buffer.compare(await file.read(0, 3_000_000), big.subarray(0, 3_000_000))).toBe(0);
  const starts = server.requests.map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? "")?.[1]));
  expect(starts.slice(0, 2)).toEqual([0, 65_536]);
  expect(starts[2]).toBeGreaterThan(65_536);
  expect(starts).toEqual(starts.toSorted((a, b) => a - b));
});

test("a server without ranges sends the file once", async () => {
  server.fault("/big.bin", { wholeOnly: true });
  const file = await opened("big.bin");
  expect(file.size).toBe(big.length);
  expect(Buffer.compare(await file.read(1_000_000, 1_000_100), big.subarray(1_000_000, 1_000_100))).toBe(0);
  expect(Buffer.compare(await file.read(50, 90), big.subarray(50, 90))).toBe(0);
  expect(server.requests).toHaveLength(1);
});

test("a server that stops honouring ranges half way is followed", async () => {
  const file = await opened("big.bin");
  server.fault("/big.bin", { wholeOnly: true });
  expect(Buffer.compare(await file.read(60_000, 900_000), big.subarray(60_000, 900_000))).toBe(0);
});

test("a file that is not there is null, a refused one a failure in words", async () => {
  expect(await open("nothing.bin")).toBeNull();
  expect(await open("start.html")).toBeNull();
  server.fault("/small.bin", { status: 403 });
  await expect(open("small.bin")).rejects.toMatchObject({ code: "network", message: expect.stringContaining("403") });
});

test("an overloaded server is asked again", async () => {
  server.fault("/small.bin", { status: 503 });
  setTimeout(() => server.heal(), 300);
  expect((await opened("small.bin")).size).toBe(1000);
  expect(server.requests).toHaveLength(2);
});

test("bytes past the end are a truncated file", async () => {
  const file = await opened("small.bin");
  await expect(file.read(900, 1001)).rejects.toMatchObject({ code: "truncated", message: expect.stringContaining("small.bin") });
  await expect(file.read(-1, 10)).rejects.toMatchObject({ code: "truncated" });
});

test("aborting ends a read that waits for the server", async () => {
  const file = await opened("big.bin");
  server.fault("/big.bin", { delay: 200 });
  const reading = file.read(0, 4_000_000);
  setTimeout(() => cancel.abort(), 100);
  await expect(reading).rejects.toMatchObject({ code: "cancelled" });
});
