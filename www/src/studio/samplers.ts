/**
 * The engine's list of samplers names each with its schedule ("DPM++ 2M Karras"); people choose the two apart, as
 * AUTOMATIC1111 has them, and its `parameters` line carries them apart too.
 */

import type { ModelInfo } from "../engine/contract.ts";

const suffix = / (Karras|Exponential|Polyexponential|Beta|SGM Uniform|Uniform|KL Optimal|Align Your Steps|Simple|Normal)$/;

/** One sampler with the schedules it is offered with. */
export interface SamplerFamily {
  name: string;
  choices: { id: string; schedule: string | undefined }[];
}

/** "DPM++ 2M Karras" → "DPM++ 2M" with the schedule "Karras"; without a known ending the schedule is the sampler's own. */
export function namesOf(name: string): { sampler: string; schedule: string | undefined } {
  return { sampler: name.replace(suffix, ""), schedule: suffix.exec(name)?.[1] };
}

/** In the order of the list. */
export function samplerFamilies(samplers: ModelInfo["samplers"]): SamplerFamily[] {
  const families = new Map<string, SamplerFamily>();
  for (const { id, name } of samplers) {
    const { sampler, schedule } = namesOf(name);
    const family = families.get(sampler) ?? { name: sampler, choices: [] };
    family.choices.push({ id, schedule });
    families.set(sampler, family);
  }
  return [...families.values()];
}

/** The choice when the visitor takes another sampler: the same schedule where it has it, else its first. */
export function choiceWithin(family: SamplerFamily, schedule: string | undefined): string {
  return (family.choices.find((choice) => choice.schedule === schedule) ?? family.choices[0])?.id ?? "";
}
