import type { GeneratedImage, Quantization, Settings } from "../engine/contract.ts";

/** What can be told of a picture, and is written into its file. */
export interface PictureRecord {
  settings: Settings;
  modelName: string;
  samplerName: string;
  quantization: Quantization;
  timings: GeneratedImage["timings"];
  retriedInF32: boolean;
}

/** A finished picture of this session. */
export interface Picture extends PictureRecord {
  /** Counts from 1, as the frames of a film do. */
  frame: number;
  width: number;
  height: number;
  /** PNG with the settings in it. */
  file: Blob;
  /** `blob:` address of `file`; revoked when the picture is removed. */
  address: string;
}

/** A file name that every system takes: `darkroom-1234-a-red-apple.png`. */
export function fileName({ settings }: PictureRecord): string {
  const words = settings.prompt
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "");
  const short = [...words].slice(0, 40).join("").replace(/-+$/, "");
  return `darkroom-${settings.seed}${short ? `-${short}` : ""}.png`;
}
