/** A folder that the visitor picked: by handle where the browser has `showDirectoryPicker`, else as a list of files. */

import type { FileHandle, FolderHandle } from "../engine/contract.ts";
import { Failure } from "../bridge/failure.ts";
import type { LocalFile } from "./model-source.ts";

export class LocalFolder implements FolderHandle {
  readonly name: string;
  readonly #find: (path: string) => Promise<File | null>;

  private constructor(name: string, find: (path: string) => Promise<File | null>) {
    this.name = name;
    this.#find = find;
  }

  static ofDirectory(name: string, directory: FileSystemDirectoryHandle): LocalFolder {
    return new LocalFolder(name, (path) => fileBelow(directory, path));
  }

  static ofFiles(name: string, files: LocalFile[]): LocalFolder {
    const byPath = new Map(files.map(({ path, file }) => [path, file]));
    return new LocalFolder(name, async (path) => byPath.get(path) ?? null);
  }

  async open(path: string): Promise<FileHandle | null> {
    const file = await this.#find(path);
    return file && new OpenedFile(path, file);
  }
}

class OpenedFile implements FileHandle {
  readonly name: string;
  readonly size: number;
  readonly #file: File;

  constructor(name: string, file: File) {
    this.name = name;
    this.size = file.size;
    this.#file = file;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await this.#file.slice(start, end).arrayBuffer());
    } catch {
      throw new Failure("network", `${this.name} could not be read: was it moved, changed or removed meanwhile?`);
    }
    if (bytes.length === end - start) return bytes;
    throw new Failure("truncated", `${this.name} has ${this.size} bytes, but bytes ${start} to ${end} are needed.`);
  }
}

async function fileBelow(directory: FileSystemDirectoryHandle, path: string): Promise<File | null> {
  const parts = path.split("/");
  const fileName = parts.pop() ?? "";
  try {
    let folder = directory;
    for (const part of parts) folder = await folder.getDirectoryHandle(part);
    return await (await folder.getFileHandle(fileName)).getFile();
  } catch (thrown) {
    const name = thrown instanceof DOMException ? thrown.name : "";
    if (name === "NotFoundError" || name === "TypeMismatchError") return null;
    throw new Failure("network", `The browser does not let the page read ${path}: please pick the folder again.`);
  }
}
