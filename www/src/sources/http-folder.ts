/** A diffusers folder on a web server: a base address, and files below it. */

import type { FolderHandle } from "../engine/contract.ts";
import { HttpFile, type Transfer } from "./http-file.ts";

export class HttpFolder implements FolderHandle {
  readonly name: string;
  readonly #base: string;
  readonly #transfer: Transfer;

  /** `base` ends in a slash. */
  constructor(name: string, base: string, transfer: Transfer) {
    this.name = name;
    this.#base = base;
    this.#transfer = transfer;
  }

  async open(path: string): Promise<HttpFile | null> {
    const escaped = path.split("/").map(encodeURIComponent).join("/");
    return HttpFile.open(path, new URL(escaped, this.#base).href, this.#transfer);
  }
}
