/**
 * What a visitor types as a model's address: the base of a diffusers folder, its `model_index.json`, a Hugging Face
 * page, or a Hugging Face id (`owner/name`).
 */

import { Failure } from "../bridge/failure.ts";
import type { ModelSource } from "./model-source.ts";

const hub = "https://huggingface.co";
const idPattern = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;
const hubPagePattern = /^\/([\w-][\w.-]*\/[\w-][\w.-]*)(?:\/(?:tree|resolve|blob)\/([^/]+)(\/.*)?)?\/?$/;

/** Throws an `invalid-setting`, `pickle` or `unsupported` failure with a sentence for the visitor. */
export function sourceFromAddress(typed: string, page: string): ModelSource {
  const text = typed.trim();
  if (text === "") throw new Failure("invalid-setting", "Type the address of a model first.");
  if (idPattern.test(text)) return hubFolder(text, "main", "/");
  const url = parsed(text, page);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new Failure("invalid-setting", "The address must begin with https:// or http://.");
  }
  if (url.username !== "" || url.password !== "") {
    throw new Failure("invalid-setting", "Addresses with a user name or password in them are not used.");
  }
  refuseSingleFiles(url.pathname);
  const hubPage = url.origin === hub ? hubPagePattern.exec(url.pathname) : null;
  if (hubPage) return hubFolder(hubPage[1] ?? "", hubPage[2] ?? "main", hubPage[3] ?? "/");
  url.pathname = folderPath(url.pathname);
  url.search = "";
  url.hash = "";
  return { kind: "address", name: lastPart(url.pathname) || url.host, url: url.href };
}

function parsed(text: string, page: string): URL {
  const relative = /^\.{0,2}\//.test(text);
  const spelled = relative || /^[a-z][a-z0-9+.-]*:/i.test(text) ? text : `https://${text}`;
  try {
    return new URL(spelled, page);
  } catch {
    throw new Failure("invalid-setting", "This is not an address. It should look like https://example.org/my-model/.");
  }
}

function hubFolder(id: string, revision: string, path: string): ModelSource {
  const folder = folderPath(path);
  return { kind: "address", name: folder === "/" ? lastPart(id) : lastPart(folder), url: `${hub}/${id}/resolve/${revision}${folder}` };
}

function folderPath(path: string): string {
  const folder = path.replace(/\/model_index\.json$/, "/");
  return folder.endsWith("/") ? folder : `${folder}/`;
}

function lastPart(path: string): string {
  const part = path.split("/").filter(Boolean).at(-1) ?? "";
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function refuseSingleFiles(path: string): void {
  if (/\.(ckpt|pt|pth|bin|pkl)$/i.test(path)) {
    throw new Failure("pickle", "This is a pickle checkpoint. Use the same model as a diffusers folder with .safetensors files.");
  }
  if (/\.(safetensors|gguf|onnx|zip)$/i.test(path)) {
    throw new Failure("unsupported", "This is a single file. Give the address of the diffusers folder that holds model_index.json.");
  }
}
