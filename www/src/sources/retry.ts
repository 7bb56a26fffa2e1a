/** Patience with a network: tries again after 0.5, 1, 2 and 4 seconds, and starts counting anew after any progress. */

import { Failure } from "../bridge/failure.ts";

const waits = [500, 1000, 2000, 4000];

/** Thrown by an attempt that is worth repeating. */
export class PassingFault extends Error {}

/**
 * Runs `attempt` until it succeeds, fails for good, or has failed five times in a row.
 *
 * `attempt` is given a function to call whenever bytes have arrived.
 */
export async function withRetries<T>(
  signal: AbortSignal,
  attempt: (progressed: () => void) => Promise<T>,
  pause: (milliseconds: number, signal: AbortSignal) => Promise<void> = wait,
): Promise<T> {
  let failed = 0;
  for (;;) {
    try {
      signal.throwIfAborted();
      return await attempt(() => (failed = 0));
    } catch (thrown) {
      if (signal.aborted) throw new Failure("cancelled", "Cancelled.");
      if (!(thrown instanceof PassingFault)) throw Failure.from(thrown);
      const milliseconds = waits[failed];
      if (milliseconds === undefined) throw new Failure("network", thrown.message);
      failed += 1;
      await pause(milliseconds, signal);
    }
  }
}

/** Resolves after a time, or at once when the signal is aborted. */
export function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal.addEventListener("abort", finish);
  });
}
