/**
 * A file on a web server, read in ranges, so that a checkpoint of gigabytes never lies in memory whole.
 *
 * Reads that follow each other share one response: the window asked for doubles from 1 MiB to 64 MiB while reading goes
 * forward and starts small again after a jump. What was passed over is remembered for a while: files hold a layer's bias
 * before its weight, and the engine asks for them the other way round. Rejected: one request per read (hundreds of round trips a model), and one
 * open-ended request (a jump throws away what the browser has fetched ahead).
 * A server that ignores ranges answers with everything at once; that answer is kept as a Blob, which browsers put on
 * disk when it is large.
 */

import type { FileHandle } from "../engine/contract.ts";
import { Failure } from "../bridge/failure.ts";
import { PassingFault, withRetries } from "./retry.ts";

/** Asked for when a file is opened: covers the configuration files and most safetensors headers. */
const headBytes = 64 * 1024;
const smallestWindow = 1024 * 1024;
const largestWindow = 64 * 1024 * 1024;
/** A forward jump this small is cheaper to read through than to ask for anew. */
const bridgedGap = 1024 * 1024;
/** So much of what was read through is kept. */
const rememberedBytes = 8 * 1024 * 1024;
/** A response that sends nothing for so long is given up and asked for again. */
const stallMilliseconds = 30_000;

export interface Transfer {
  signal: AbortSignal;
  /** Called with the bytes of every chunk that arrives. */
  onreceived: (bytes: number) => void;
}

export class HttpFile implements FileHandle {
  readonly name: string;
  readonly size: number;
  readonly #url: string;
  readonly #transfer: Transfer;
  readonly #head: Uint8Array;
  #whole: Blob | undefined;
  #stretch: Stretch | undefined;
  #window = smallestWindow;
  #begun = false;
  readonly #passed = new PassedOver();
  /** Reads are served one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(name: string, url: string, transfer: Transfer, opened: Opened) {
    this.name = name;
    this.size = opened.size;
    this.#url = url;
    this.#transfer = transfer;
    this.#head = opened.head;
    this.#whole = opened.whole;
  }

  /** Resolves to null where the server says that there is no such file. */
  static async open(name: string, url: string, transfer: Transfer): Promise<HttpFile | null> {
    const opened = await withRetries(transfer.signal, async (progressed) => {
      const response = await request(url, 0, headBytes, transfer.signal);
      if (response.status === 404 || response.status === 410 || isWebPage(response)) return null;
      if (response.status === 416) return { size: 0, head: new Uint8Array(), whole: undefined };
      refuse(response, name);
      if (response.status !== 206) return wholeOf(await blobOf(response, transfer, progressed));
      const head = await bytesOf(response, transfer, progressed);
      const size = rangeTotal(response) ?? (head.length < headBytes ? head.length : await sizeByHead(url, name, transfer.signal));
      return { size, head, whole: undefined };
    });
    return opened && new HttpFile(name, url, transfer, opened);
  }

  read(start: number, end: number): Promise<Uint8Array> {
    const read = this.#turn.then(() => this.#read(start, end));
    this.#turn = read.catch(() => undefined);
    return read;
  }

  async #read(start: number, end: number): Promise<Uint8Array> {
    if (!(start >= 0 && start <= end && end <= this.size)) {
      throw new Failure("truncated", `${this.name} has ${this.size} bytes, but bytes ${start} to ${end} are needed.`);
    }
    if (this.#whole) return bytesIn(this.#whole, start, end);
    const bytes = new Uint8Array(end - start);
    const known = this.#head.subarray(start, end);
    bytes.set(known);
    let filled = known.length;
    return withRetries(this.#transfer.signal, async (progressed) => {
      while (filled < bytes.length) {
        const chunk = await this.#next(start + filled, end);
        if (chunk instanceof Blob) return bytesIn(chunk, start, end);
        bytes.set(chunk, filled);
        filled += chunk.length;
        progressed();
      }
      return bytes;
    });
  }

  /** At least one byte from `position` on and none from `end` on; or the whole file, where the server sends it so. */
  async #next(position: number, end: number): Promise<Uint8Array | Blob> {
    const remembered = this.#passed.from(position, end);
    if (remembered) return remembered;
    try {
      const stretch = this.#stretch ?? (await this.#open(position, end));
      if (stretch instanceof Blob) return stretch;
      if (position < stretch.position || position > stretch.position + bridgedGap || position >= stretch.end) {
        const forward = position >= stretch.position && position <= stretch.position + bridgedGap;
        this.#window = forward ? Math.min(this.#window * 2, largestWindow) : smallestWindow;
        this.#drop();
        return await this.#next(position, end);
      }
      if (position > stretch.position) {
        this.#passed.remember(stretch.position, await stretch.take(position - stretch.position));
        return await this.#next(position, end);
      }
      return await stretch.take(end - position);
    } catch (thrown) {
      this.#drop();
      throw passing(thrown, this.name);
    }
  }

  async #open(wanted: number, end: number): Promise<Stretch | Blob> {
    // What lies between the head and the first tensor that is asked for will be asked for too.
    const position = !this.#begun && wanted - this.#head.length <= bridgedGap ? this.#head.length : wanted;
    this.#begun = true;
    const stop = Math.min(this.size, Math.max(end, position + this.#window));
    const abort = new AbortController();
    this.#transfer.signal.addEventListener("abort", () => abort.abort(), { signal: abort.signal });
    const response = await request(this.#url, position, stop, abort.signal);
    refuse(response, this.name);
    if (response.status !== 206) {
      const whole = await blobOf(response, this.#transfer, () => undefined);
      if (whole.size !== this.size) throw new Failure("network", `${this.name} changed on the server while it was read.`);
      this.#whole = whole;
      return whole;
    }
    if (!response.body) throw new PassingFault(`${this.name}: the server's answer was empty.`);
    this.#stretch = new Stretch(position, stop, response.body.getReader(), abort, this.#transfer);
    return this.#stretch;
  }

  #drop(): void {
    this.#stretch?.close();
    this.#stretch = undefined;
  }
}

interface Opened {
  size: number;
  head: Uint8Array;
  whole: Blob | undefined;
}

function wholeOf(blob: Blob): Opened {
  return { size: blob.size, head: new Uint8Array(), whole: blob };
}

/** Pieces of the file that came along unasked. */
class PassedOver {
  readonly #pieces: { start: number; bytes: Uint8Array }[] = [];
  #total = 0;

  remember(start: number, bytes: Uint8Array): void {
    // A copy: the piece may be a small part of a large chunk, which would stay in memory with it.
    this.#pieces.push({ start, bytes: bytes.slice() });
    this.#total += bytes.length;
    while (this.#total > rememberedBytes) this.#total -= this.#pieces.shift()?.bytes.length ?? 0;
  }

  /** At least one byte from `position` on and none from `end` on, where they are known. */
  from(position: number, end: number): Uint8Array | undefined {
    const piece = this.#pieces.find(({ start, bytes }) => position >= start && position < start + bytes.length);
    return piece?.bytes.subarray(position - piece.start, end - piece.start);
  }
}

/** One running response: the bytes `position..end` of the file, in order. */
class Stretch {
  position: number;
  readonly end: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #abort: AbortController;
  readonly #transfer: Transfer;
  #rest = new Uint8Array();

  constructor(
    position: number,
    end: number,
    reader: ReadableStreamDefaultReader<Uint8Array>,
    abort: AbortController,
    transfer: Transfer,
  ) {
    this.position = position;
    this.end = end;
    this.#reader = reader;
    this.#abort = abort;
    this.#transfer = transfer;
  }

  /** Between one byte and `most` bytes. */
  async take(most: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const { done, value } = await unlessStalled(this.#reader.read());
      if (done) throw new PassingFault("The server broke the answer off.");
      this.#transfer.onreceived(value.length);
      this.#rest = value as Uint8Array<ArrayBuffer>;
    }
    const taken = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(taken.length);
    this.position += taken.length;
    return taken;
  }

  close(): void {
    this.#abort.abort();
  }
}

async function request(url: string, start: number, end: number, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { signal, credentials: "same-origin", headers: { Range: `bytes=${start}-${end - 1}` } });
  } catch (thrown) {
    throw passing(thrown, url);
  }
}

/** Some hosts answer with their start page where a file is missing; no file of a model is a web page. */
function isWebPage(response: Response): boolean {
  return response.ok && (response.headers.get("Content-Type") ?? "").startsWith("text/html");
}

/** Throws unless the answer is a success. */
function refuse(response: Response, name: string): void {
  const { status } = response;
  if (status >= 200 && status < 300) return;
  if (status === 401 || status === 403) {
    throw new Failure("network", `The server does not hand out ${name} without a login (answer ${status}).`);
  }
  const message = `The server answered ${status} for ${name}.`;
  if (status === 404 || status === 410) throw new Failure("not-found", message);
  if (status === 408 || status === 429 || status >= 500) throw new PassingFault(message);
  throw new Failure("network", message);
}

/** A broken connection is worth another try; everything else is passed on. */
function passing(thrown: unknown, name: string): unknown {
  if (thrown instanceof TypeError) return new PassingFault(`${name} could not be reached.`);
  return thrown;
}

/** The file's size out of `Content-Range: bytes 0-65535/4265146304`, where the server lets the page see it. */
function rangeTotal(response: Response): number | undefined {
  const digits = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
}

async function sizeByHead(url: string, name: string, signal: AbortSignal): Promise<number> {
  const response = await fetch(url, { method: "HEAD", signal }).catch((thrown: unknown) => {
    throw passing(thrown, name);
  });
  refuse(response, name);
  const length = Number(response.headers.get("Content-Length") ?? Number.NaN);
  if (Number.isSafeInteger(length)) return length;
  throw new Failure("network", `The server does not tell the size of ${name}.`);
}

async function bytesIn(blob: Blob, start: number, end: number): Promise<Uint8Array> {
  return new Uint8Array(await blob.slice(start, end).arrayBuffer());
}

async function bytesOf(response: Response, transfer: Transfer, progressed: () => void): Promise<Uint8Array> {
  return new Uint8Array(await (await blobOf(response, transfer, progressed)).arrayBuffer());
}

async function blobOf(response: Response, transfer: Transfer, progressed: () => void): Promise<Blob> {
  const parts: BlobPart[] = [];
  const reader = response.body?.getReader();
  try {
    while (reader) {
      const { done, value } = await unlessStalled(reader.read());
      if (done) break;
      progressed();
      transfer.onreceived(value.length);
      parts.push(value as Uint8Array<ArrayBuffer>);
    }
  } catch (thrown) {
    throw passing(thrown, "The file");
  }
  return new Blob(parts);
}

function unlessStalled<T>(read: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PassingFault("The server stopped sending.")), stallMilliseconds);
  });
  return Promise.race([read, stalled]).finally(() => clearTimeout(timer));
}
