/** Speed and remaining time of something that advances in bytes, smoothed so that the numbers can be read. */

/** Older samples than this no longer count. */
const memorySeconds = 4;

export class Rate {
  readonly #samples: { at: number; done: number }[] = [];

  /** `at` in seconds. */
  add(done: number, at: number): void {
    this.#samples.push({ at, done });
    while (this.#samples.length > 2 && (this.#samples[0]?.at ?? at) < at - memorySeconds) this.#samples.shift();
  }

  /** Per second; undefined until there is something to tell. */
  get perSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.at - first.at < 0.25 || last.done <= first.done) return undefined;
    return (last.done - first.done) / (last.at - first.at);
  }

  /** Seconds until `total` is reached. */
  remaining(total: number): number | undefined {
    const rate = this.perSecond;
    const done = this.#samples.at(-1)?.done;
    return rate === undefined || done === undefined ? undefined : Math.max(0, total - done) / rate;
  }
}
