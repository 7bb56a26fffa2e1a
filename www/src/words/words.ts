/** The page's sentences in the visitor's language: English for now. */

import type { Failure } from "../bridge/failure.ts";
import { english, type Words } from "./english.ts";

export function words(): Words {
  return english;
}

/** The sentence for a failure. Losing the network is told apart from a server that does not answer. */
export function sentence({ code }: Failure, online = navigator.onLine): string {
  const { offline, sentences } = words().failures;
  return code === "network" && !online ? offline : sentences[code];
}
