/** Asks the visitor for a folder. Nothing is copied: the worker gets the handle, or the list of files. */

import type { ModelSource } from "./model-source.ts";

const index = "model_index.json";

/** Undefined when the visitor changed their mind; "no model" when the folder holds no model. */
export async function pickDirectory(): Promise<ModelSource | "no model" | undefined> {
  let handle: FileSystemDirectoryHandle;
  try {
    handle = await (globalThis as unknown as DirectoryPicker).showDirectoryPicker({ id: "model", mode: "read" });
  } catch {
    return undefined;
  }
  try {
    await handle.getFileHandle(index);
  } catch {
    return "no model";
  }
  return { kind: "directory", name: handle.name, handle };
}

/** What `<input webkitdirectory>` gave: every path begins with the picked folder's name, which is taken off. */
export function filesOfPicker(list: FileList | null): ModelSource | "no model" | undefined {
  if (!list || list.length === 0) return undefined;
  const files = [...list].map((file) => ({ path: file.webkitRelativePath.split("/").slice(1).join("/"), file }));
  const name = list[0]?.webkitRelativePath.split("/")[0] ?? "";
  if (!files.some(({ path }) => path === index)) return "no model";
  return { kind: "files", name, files };
}

/** Not yet in TypeScript's library: the File System Access draft. */
interface DirectoryPicker {
  showDirectoryPicker(options: { id: string; mode: "read" }): Promise<FileSystemDirectoryHandle>;
}
