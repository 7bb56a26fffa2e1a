import { expect, test } from "vitest";
import { Failure } from "../../src/bridge/failure.ts";
import { PassingFault, withRetries } from "../../src/sources/retry.ts";

const never = new AbortController().signal;

function recorded() {
  const waits: number[] = [];
  return { waits, pause: async (milliseconds: number) => void waits.push(milliseconds) };
}

test("gives up after five attempts in a row", async () => {
  const { waits, pause } = recorded();
  let attempts = 0;
  const failing = withRetries(never, async () => Promise.reject(new PassingFault(`fault ${(attempts += 1)}`)), pause);
  await expect(failing).rejects.toMatchObject({ code: "network", message: "fault 5" });
  expect(waits).toEqual([500, 1000, 2000, 4000]);
});

test("counts anew after progress", async () => {
  const { waits, pause } = recorded();
  let attempts = 0;
  const result = await withRetries(
    never,
    async (progressed) => {
      attempts += 1;
      if (attempts % 2 === 0) progressed();
      if (attempts < 9) throw new PassingFault("again");
      return "there";
    },
    pause,
  );
  expect(result).toBe("there");
  expect(Math.max(...waits)).toBe(1000);
});

test("does not repeat what will not change", async () => {
  const { waits, pause } = recorded();
  await expect(withRetries(never, async () => Promise.reject(new Failure("not-found", "gone")), pause)).rejects.toMatchObject({ code: "not-found" });
  expect(waits).toEqual([]);
});

test("an aborted signal makes it a cancelled failure", async () => {
  const cancel = new AbortController();
  const failing = withRetries(cancel.signal, async () => Promise.reject(new PassingFault("again")), async () => cancel.abort());
  await expect(failing).rejects.toMatchObject({ code: "cancelled" });
});
