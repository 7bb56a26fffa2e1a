/** Numbers as people write them, in the language of the page. */

const language = globalThis.document?.documentElement.lang || "en";

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** Decimal units, as download sizes are told: "38 MB", "1.2 GB". */
export function bytes(count: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  const scaled = count / 1000 ** power;
  const digits = power > 0 && scaled < 10 ? 1 : 0;
  const unit = units[power] ?? "byte";
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: power === 0 ? "long" : "short", maximumFractionDigits: digits }).format(scaled);
}

/** "0.31 s", "8.2 s", "45 s", "2 min 05 s". */
export function seconds(value: number): string {
  if (value < 60) return `${number(value, value < 1 ? 2 : value < 10 ? 1 : 0)} s`;
  const whole = Math.round(value);
  return `${number(Math.floor(whole / 60))} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** For times that count down: whole seconds only. */
export function wholeSeconds(value: number): string {
  const whole = Math.max(0, Math.ceil(value));
  return whole < 60 ? `${number(whole)} s` : `${number(Math.floor(whole / 60))} min ${String(whole % 60).padStart(2, "0")} s`;
}

export function percent(part: number): string {
  return new Intl.NumberFormat(language, { style: "percent" }).format(part);
}
