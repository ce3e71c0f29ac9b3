// What the workers' own configuration gives them, for the type checker: declarations are no part of a program.

interface KV {
  get(key: string): Promise<string | null>;
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>;
}

declare class ServiceBinding {
  constructor(name: "auth" | "catalog" | "header" | "offers");
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
}

interface Result<Row> {
  results: Row[];
  success: boolean;
}

declare class D1Database {
  static fromEnv(name: "DB"): D1Database;
  execute<Row = Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Result<Row>>;
}

declare const CACHE: KV;

interface CacheStorage {
  readonly default: Cache;
}

interface ExecutionContext {
  waitUntil(promise: Promise<unknown>): void;
}

declare module "node:assert" {
  const assert: {
    ok(value: unknown): void;
    match(text: string, pattern: RegExp): void;
    strictEqual(found: unknown, wanted: unknown): void;
    deepStrictEqual(found: unknown, wanted: unknown): void;
  };
  export default assert;
}
