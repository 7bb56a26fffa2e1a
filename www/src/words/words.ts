/** The page's sentences in the visitor's language: English for now. */

import type { Failure } from "../bridge/failure.ts";
import { english, type Words } from "./english.ts";

export function words(): Words {
  return english;
}

/** The sentence for a failure. Without a network, that is the cause of what did not arrive: a model's files, or the engine's. */
export function sentence({ code }: Failure, online = navigator.onLine): string {
  const { offline, sentences } = words().failures;
  return (code === "network" || code === "internal") && !online ? offline : sentences[code];
}
