/** Where a model lies, in a form that `postMessage` can carry to the worker. */
export type ModelSource =
  | { kind: "address"; name: string; /** Absolute, ends in a slash. */ url: string }
  | { kind: "directory"; name: string; handle: FileSystemDirectoryHandle }
  | { kind: "files"; name: string; files: LocalFile[] };

export interface LocalFile {
  /** Below the picked folder: `unet/config.json`. */
  path: string;
  file: File;
}
