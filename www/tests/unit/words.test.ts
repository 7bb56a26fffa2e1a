import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { artworks } from "../../src/about/artwork.ts";
import { Failure } from "../../src/bridge/failure.ts";
import { bytes, seconds, wholeSeconds } from "../../src/words/format.ts";
import { english } from "../../src/words/english.ts";
import { sentence } from "../../src/words/words.ts";

const repository = new URL("../../../", import.meta.url);

test("every failure code of the engine has a sentence, and no other", () => {
  const source = readFileSync(new URL("src/error.rs", repository), "utf8");
  const codes = [...source.matchAll(/Self::\w+ => "([a-z0-9-]+)"/g)].map((match) => match[1]);
  expect(codes.length).toBeGreaterThan(10);
  expect(Object.keys(english.failures.sentences).sort()).toEqual(codes.sort());
});

test("without a network the sentence says so", () => {
  expect(sentence(new Failure("network", ""), false)).toBe(english.failures.offline);
  expect(sentence(new Failure("network", ""), true)).toBe(english.failures.sentences.network);
  expect(sentence(new Failure("pickle", ""), false)).toBe(english.failures.sentences.pickle);
});

test("thrown things become failures", () => {
  expect(Failure.from({ code: "tensor-shape", message: "unet: [1, 2]" })).toMatchObject({ code: "tensor-shape", message: "unet: [1, 2]" });
  expect(Failure.from(new DOMException("stop", "AbortError")).code).toBe("cancelled");
  expect(Failure.from(new WebAssembly.RuntimeError("unreachable"))).toMatchObject({ code: "internal", message: "unreachable" });
  expect(Failure.from({ code: "made-up", message: "x" }).code).toBe("internal");
  expect(Failure.from("x")).toMatchObject({ code: "internal", message: "x" });
});

test("numbers as people write them", () => {
  expect([bytes(0), bytes(999), bytes(1500), bytes(37_400_000), bytes(3_438_000_000)]).toEqual(["0 bytes", "999 bytes", "1.5 kB", "37 MB", "3.4 GB"]);
  expect([seconds(0.314), seconds(8.23), seconds(45.2), seconds(125)]).toEqual(["0.31 s", "8.2 s", "45 s", "2 min 05 s"]);
  expect([wholeSeconds(0.2), wholeSeconds(-3), wholeSeconds(61)]).toEqual(["1 s", "0 s", "1 min 01 s"]);
});

test("the page credits everyone whom the model card credits", () => {
  const card = readFileSync(new URL("models/emoji/MODEL_CARD.md", repository), "utf8");
  for (const { link } of artworks) expect(card.toLowerCase()).toContain(link.replace("https://", "").toLowerCase());
  const repositories = new Set([...card.matchAll(/github\.com\/[\w-]+\/[\w-]+/g)].map((match) => match[0].toLowerCase()));
  expect(repositories.size).toBe(artworks.length);
});
