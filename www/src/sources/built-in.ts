/** The model that is served with the page. Nothing here is known to the engine, which reads the folder as any other. */

import type { ModelSource } from "./model-source.ts";

export const builtIn = {
  title: "Emoji",
  about: "A small model, 64 × 64 pixels, for a first picture in seconds.",
  /** Below the page. */
  folder: "models/emoji/",
  examples: ["a red apple, noto style", "a smiling cat face, fluent style", "a yellow taxi, flat style", "a slice of pizza, twemoji style"],
} as const;

export function builtInSource(page: string): ModelSource {
  return { kind: "address", name: builtIn.title, url: new URL(builtIn.folder, page).href };
}
