import type { FolderHandle } from "../engine/contract.ts";
import type { Transfer } from "./http-file.ts";
import { HttpFolder } from "./http-folder.ts";
import { LocalFolder } from "./local-folder.ts";
import type { ModelSource } from "./model-source.ts";

/** The folder that a source describes. Nothing is read before its `open` is called. */
export function openFolder(source: ModelSource, transfer: Transfer): FolderHandle {
  switch (source.kind) {
    case "address":
      return new HttpFolder(source.name, source.url, transfer);
    case "directory":
      return LocalFolder.ofDirectory(source.name, source.handle);
    case "files":
      return LocalFolder.ofFiles(source.name, source.files);
  }
}
