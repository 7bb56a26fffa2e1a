export interface Fault {
  status?: number;
  truncateTo?: number;
  breakAfter?: number;
  times?: number;
  wholeOnly?: boolean;
  delay?: number;
}

export interface Server {
  url: string;
  requests: { method: string; path: string; range: string | undefined }[];
  fault(path: string, fault: Fault): void;
  heal(): void;
  close(): Promise<void>;
}

export function serve(mounts: Record<string, string>): Promise<Server>;
