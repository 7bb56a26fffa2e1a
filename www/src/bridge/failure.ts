/**
 * A failure with a stable code, on either side of the worker's port.
 *
 * The codes are the engine's (`ErrorKind::code` in `src/error.rs`); the page adds none, so a failure may pass through
 * WebAssembly and come out unchanged. The visitor reads the sentence that `words` keeps for the code; `message` is the
 * detail under it.
 */

const failureCodes = [
  "no-gpu",
  "device-lost",
  "out-of-memory",
  "device-limit",
  "not-found",
  "network",
  "truncated",
  "malformed",
  "pickle",
  "unsupported",
  "tensor-missing",
  "tensor-shape",
  "invalid-setting",
  "non-finite",
  "cancelled",
  "internal",
] as const;

export type FailureCode = (typeof failureCodes)[number];

export interface FailureRecord {
  code: FailureCode;
  message: string;
}

export class Failure extends Error implements FailureRecord {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string) {
    super(message);
    this.name = "Failure";
    this.code = code;
  }

  /** Whatever was thrown, as a failure: the engine's objects keep their code, all else is `internal` or `cancelled`. */
  static from(thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    if (isRecord(thrown)) {
      const code = thrown["code"];
      const message = typeof thrown["message"] === "string" ? thrown["message"] : String(thrown);
      if (isFailureCode(code)) return new Failure(code, message);
      if (thrown["name"] === "AbortError") return new Failure("cancelled", "Cancelled.");
      return new Failure("internal", message);
    }
    return new Failure("internal", String(thrown));
  }

  /** The fields that survive `postMessage`. */
  toRecord(): FailureRecord {
    return { code: this.code, message: this.message };
  }
}

/** After these the worker is replaced: its device or its WebAssembly memory can no longer be trusted. */
export function endsWorker(code: FailureCode): boolean {
  return code === "device-lost" || code === "out-of-memory" || code === "internal";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isFailureCode(value: unknown): value is FailureCode {
  return failureCodes.some((code) => code === value);
}
