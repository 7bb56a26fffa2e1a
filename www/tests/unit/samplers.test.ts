import { expect, test } from "vitest";
import { choiceWithin, namesOf, samplerFamilies } from "../../src/studio/samplers.ts";

const samplers = [
  { id: "default", name: "Default" },
  { id: "euler", name: "Euler" },
  { id: "euler-a", name: "Euler a" },
  { id: "dpmpp-2m", name: "DPM++ 2M" },
  { id: "dpmpp-2m-karras", name: "DPM++ 2M Karras" },
  { id: "euler-karras", name: "Euler Karras" },
  { id: "euler-trailing", name: "Euler SGM Uniform" },
  { id: "tcd-karras", name: "TCD Karras" },
];

test("names come apart where they end in a schedule", () => {
  expect(namesOf("DPM++ 2M SDE Heun Karras")).toEqual({ sampler: "DPM++ 2M SDE Heun", schedule: "Karras" });
  expect(namesOf("Euler a SGM Uniform")).toEqual({ sampler: "Euler a", schedule: "SGM Uniform" });
  expect(namesOf("Karras")).toEqual({ sampler: "Karras", schedule: undefined });
});

test("every sampler is in one family, none is lost", () => {
  const families = samplerFamilies(samplers);
  expect(families.map(({ name }) => name)).toEqual(["Default", "Euler", "Euler a", "DPM++ 2M", "TCD"]);
  expect(families.flatMap(({ choices }) => choices.map(({ id }) => id)).sort()).toEqual(samplers.map(({ id }) => id).sort());
});

test("the schedule stays where the next sampler has it", () => {
  const [plain, euler, , multistep, tcd] = samplerFamilies(samplers);
  expect(multistep && choiceWithin(multistep, "Karras")).toBe("dpmpp-2m-karras");
  expect(multistep && choiceWithin(multistep, "SGM Uniform")).toBe("dpmpp-2m");
  expect(euler && choiceWithin(euler, undefined)).toBe("euler");
  expect(tcd && choiceWithin(tcd, undefined)).toBe("tcd-karras");
  expect(plain && choiceWithin(plain, "Karras")).toBe("default");
});
