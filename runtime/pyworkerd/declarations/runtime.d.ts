// What workers of pyworkerd find besides the web platform, which is `"lib": ["ES2023", "WebWorker"]` in tsconfig.json.
// Where Workers have more, it is missing here because it is missing there.

// Handlers ------------------------------------------------------------------------------------------------------------

interface ExecutionContext<Props = any> {
  readonly props: Props;
  waitUntil(promise: Promise<unknown>): void;
  passThroughOnException(): void;
}

interface ScheduledController {
  readonly cron: string;
  readonly scheduledTime: number;
  noRetry(): void;
}

interface TestController {}

interface ExportedHandler<Env = unknown, Message = unknown, Props = any> {
  fetch?(request: Request, env: Env, ctx: ExecutionContext<Props>): Response | Promise<Response>;
  scheduled?(controller: ScheduledController, env: Env, ctx: ExecutionContext<Props>): void | Promise<void>;
  queue?(batch: MessageBatch<Message>, env: Env, ctx: ExecutionContext<Props>): void | Promise<void>;
  tail?(events: TraceItem[], env: Env, ctx: ExecutionContext<Props>): void | Promise<void>;
  test?(controller: TestController, env: Env, ctx: ExecutionContext<Props>): void | Promise<void>;
}

interface TraceItem {
  readonly scriptName: string;
  readonly entrypoint: string | null;
  readonly event: any;
  readonly eventTimestamp: number;
  readonly outcome: string;
  readonly logs: { timestamp: number; level: string; message: any }[];
  readonly exceptions: { timestamp: number; name: string; message: string; stack?: string }[];
  readonly cpuTime: number;
  readonly wallTime: number;
  readonly [more: string]: any;
}

// Services ------------------------------------------------------------------------------------------------------------

interface Fetcher {
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
}

// What crosses is copied, functions and RpcTargets are lent; what a method returns comes as a promise.
type RpcResult<T> = Promise<RpcValue<Awaited<T>>>;
type RpcValue<T> = T extends import("cloudflare:workers").RpcTarget | ((...given: any[]) => any) ? RpcStub<T> : T;
type RpcStub<T> = RpcMembers<T> & {
  dup(): RpcStub<T>;
  [Symbol.dispose](): void;
} & (T extends (...given: infer Given) => infer Result ? (...given: Given) => RpcResult<Result> : {});
type RpcMembers<T> = RpcMethods<T> & {
  readonly [Name in keyof T as Name extends RpcReserved ? never : T[Name] extends (...given: any[]) => any ? never : Name]:
    Promise<Awaited<T[Name]>>;
};
type RpcMethods<T> = {
  [Name in keyof T as Name extends RpcReserved ? never : T[Name] extends (...given: any[]) => any ? Name : never]:
    T[Name] extends (...given: infer Given) => infer Result ? (...given: Given) => RpcResult<Result> : never;
};
type RpcReserved =
  | "fetch" | "scheduled" | "queue" | "tail" | "trace" | "email" | "connect" | "test" | "alarm"
  | "webSocketMessage" | "webSocketClose" | "webSocketError" | "dup" | "constructor";

// A worker or entrypoint whose class is known: `Service<typeof import("./auth").default>`.
type Service<Exported> = Fetcher & (Exported extends new (...given: any[]) => infer Instance ? RpcMethods<Instance> : {});

// One that is written in another language.
interface AnyService extends Fetcher {
  [method: string]: (...given: any[]) => Promise<any>;
}

// Stores --------------------------------------------------------------------------------------------------------------

interface KVNamespace {
  get(key: string, options?: "text" | { type?: "text"; cacheTtl?: number }): Promise<string | null>;
  get<Value = unknown>(key: string, options: "json" | { type: "json"; cacheTtl?: number }): Promise<Value | null>;
  get(key: string, options: "arrayBuffer" | { type: "arrayBuffer"; cacheTtl?: number }): Promise<ArrayBuffer | null>;
  get(key: string, options: "stream" | { type: "stream"; cacheTtl?: number }): Promise<ReadableStream<Uint8Array> | null>;
  get<Value = string>(keys: string[], options?: KVType): Promise<Map<string, Value | null>>;
  getWithMetadata<Metadata = unknown, Value = string>(key: string, options?: KVType): Promise<KVFound<Value, Metadata>>;
  getWithMetadata<Metadata = unknown, Value = string>(
    keys: string[],
    options?: KVType,
  ): Promise<Map<string, KVFound<Value, Metadata>>>;
  put(
    key: string,
    value: string | ArrayBuffer | ArrayBufferView | ReadableStream,
    options?: { expiration?: number; expirationTtl?: number; metadata?: unknown },
  ): Promise<void>;
  delete(key: string): Promise<void>;
  list<Metadata = unknown>(options?: { prefix?: string | null; limit?: number; cursor?: string | null }): Promise<{
    keys: { name: string; expiration?: number; metadata?: Metadata }[];
    list_complete: boolean;
    cursor?: string;
    cacheStatus: string | null;
  }>;
}
type KVType = "text" | "json" | "arrayBuffer" | "stream" | { type?: "text" | "json" | "arrayBuffer" | "stream"; cacheTtl?: number };
interface KVFound<Value, Metadata> {
  value: Value | null;
  metadata: Metadata | null;
  cacheStatus: string | null;
}

interface D1Result<Row = Record<string, any>> {
  success: true;
  results: Row[];
  meta: {
    duration: number;
    changes: number;
    last_row_id: number;
    changed_db: boolean;
    size_after: number;
    rows_read: number;
    rows_written: number;
    [more: string]: any;
  };
}
interface D1PreparedStatement {
  bind(...values: unknown[]): D1PreparedStatement;
  first<Value = unknown>(column: string): Promise<Value | null>;
  first<Row = Record<string, any>>(): Promise<Row | null>;
  all<Row = Record<string, any>>(): Promise<D1Result<Row>>;
  run<Row = Record<string, any>>(): Promise<D1Result<Row>>;
  raw<Row = unknown[]>(options?: { columnNames?: boolean }): Promise<Row[]>;
}
interface D1DatabaseSession {
  prepare(sql: string): D1PreparedStatement;
  batch<Row = Record<string, any>>(statements: D1PreparedStatement[]): Promise<D1Result<Row>[]>;
  getBookmark(): string | null;
}
declare abstract class D1Database {
  static fromEnv(name: string): D1Database;
  prepare(sql: string): D1PreparedStatement;
  batch<Row = Record<string, any>>(statements: D1PreparedStatement[]): Promise<D1Result<Row>[]>;
  exec(sql: string): Promise<{ count: number; duration: number }>;
  execute<Row = Record<string, any>>(sql: string, parameters?: unknown[]): Promise<D1Result<Row>>;
  withSession(constraint?: "first-primary" | "first-unconstrained" | string): D1DatabaseSession;
}

interface R2HTTPMetadata {
  contentType?: string;
  contentLanguage?: string;
  contentDisposition?: string;
  contentEncoding?: string;
  cacheControl?: string;
  cacheExpiry?: Date;
}
interface R2Conditional {
  etagMatches?: string | string[];
  etagDoesNotMatch?: string | string[];
  uploadedBefore?: Date;
  uploadedAfter?: Date;
  secondsGranularity?: boolean;
}
type R2Range = { offset?: number; length?: number } | { suffix: number };
interface R2GetOptions {
  onlyIf?: R2Conditional | Headers;
  range?: R2Range | Headers;
}
type R2Value = ReadableStream | ArrayBuffer | ArrayBufferView | string | null | Blob;
interface R2PutOptions {
  onlyIf?: R2Conditional | Headers;
  httpMetadata?: R2HTTPMetadata | Headers;
  customMetadata?: Record<string, string>;
  md5?: ArrayBuffer | ArrayBufferView | string;
  sha1?: ArrayBuffer | ArrayBufferView | string;
  sha256?: ArrayBuffer | ArrayBufferView | string;
  sha384?: ArrayBuffer | ArrayBufferView | string;
  sha512?: ArrayBuffer | ArrayBufferView | string;
  storageClass?: string;
}
interface R2Object {
  readonly key: string;
  readonly version: string;
  readonly size: number;
  readonly etag: string;
  readonly httpEtag: string;
  readonly uploaded: Date;
  readonly httpMetadata?: R2HTTPMetadata;
  readonly customMetadata?: Record<string, string>;
  readonly checksums: { [algorithm: string]: ArrayBuffer | undefined } & { toJSON(): Record<string, string> };
  readonly storageClass: string;
  readonly range?: R2Range;
  writeHttpMetadata(headers: Headers): void;
}
interface R2ObjectBody extends R2Object {
  readonly body: ReadableStream<Uint8Array>;
  readonly bodyUsed: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
  json<Value = any>(): Promise<Value>;
  blob(): Promise<Blob>;
}
interface R2UploadedPart {
  partNumber: number;
  etag: string;
}
interface R2MultipartUpload {
  readonly key: string;
  readonly uploadId: string;
  uploadPart(number: number, value: R2Value): Promise<R2UploadedPart>;
  complete(parts: R2UploadedPart[]): Promise<R2Object>;
  abort(): Promise<void>;
}
interface R2Bucket {
  head(key: string): Promise<R2Object | null>;
  get(key: string): Promise<R2ObjectBody | null>;
  get(key: string, options: R2GetOptions): Promise<R2ObjectBody | R2Object | null>;
  put(key: string, value: R2Value, options?: R2PutOptions & { onlyIf?: undefined }): Promise<R2Object>;
  put(key: string, value: R2Value, options?: R2PutOptions): Promise<R2Object | null>;
  delete(keys: string | string[]): Promise<void>;
  list(options?: {
    limit?: number;
    prefix?: string;
    cursor?: string;
    delimiter?: string;
    startAfter?: string;
    include?: ("httpMetadata" | "customMetadata")[];
  }): Promise<{ objects: R2Object[]; delimitedPrefixes: string[]; truncated: boolean; cursor?: string }>;
  createMultipartUpload(key: string, options?: R2PutOptions): Promise<R2MultipartUpload>;
  resumeMultipartUpload(key: string, uploadId: string): R2MultipartUpload;
}

// Queues, limits, datasets, loaded workers ----------------------------------------------------------------------------

type QueueContentType = "text" | "bytes" | "json" | "v8";
interface QueueSendOptions {
  contentType?: QueueContentType;
  delaySeconds?: number;
}
interface Queue<Body = unknown> {
  send(body: Body, options?: QueueSendOptions): Promise<void>;
  sendBatch(
    messages: Iterable<{ body: Body; contentType?: QueueContentType; delaySeconds?: number }>,
    options?: { delaySeconds?: number },
  ): Promise<void>;
  metrics(): Promise<{ backlogCount: number; backlogBytes: number; oldestMessageTimestamp: Date | null }>;
}
interface Message<Body = unknown> {
  readonly id: string;
  readonly timestamp: Date;
  readonly attempts: number;
  readonly body: Body;
  ack(): void;
  retry(options?: { delaySeconds?: number }): void;
}
interface MessageBatch<Body = unknown> {
  readonly queue: string;
  readonly messages: readonly Message<Body>[];
  ackAll(): void;
  retryAll(options?: { delaySeconds?: number }): void;
}

interface RateLimit {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

interface AnalyticsEngineDataset {
  writeDataPoint(point?: {
    indexes?: (string | ArrayBuffer | null)[];
    blobs?: (string | ArrayBuffer | null)[];
    doubles?: number[];
  }): void;
}

interface WorkerLoader {
  get(name: string | null, code: () => WorkerCode | Promise<WorkerCode>): WorkerStub;
  load(code: WorkerCode): WorkerStub;
}
interface WorkerCode {
  mainModule: string;
  modules: Record<string, string | Record<string, any>>;
  env?: any;
  globalOutbound?: Fetcher | null;
  [more: string]: any;
}
interface WorkerStub {
  getEntrypoint(name?: string | null, options?: { props?: any }): AnyService;
}

interface Hello {
  greet(name: string): Promise<string>;
}

// Durable Objects -----------------------------------------------------------------------------------------------------

interface DurableObjectId {
  readonly name?: string;
  toString(): string;
  equals(other: DurableObjectId): boolean;
}
type DurableObjectStub<Instance = any> = Fetcher & {
  readonly id: DurableObjectId;
  readonly name?: string;
} & (0 extends 1 & Instance ? Record<string, any> : RpcMethods<Instance>);
interface DurableObjectNamespace<Instance = any> {
  idFromName(name: string): DurableObjectId;
  idFromString(id: string): DurableObjectId;
  newUniqueId(options?: { jurisdiction?: string }): DurableObjectId;
  get(id: DurableObjectId, options?: { locationHint?: string }): DurableObjectStub<Instance>;
  getByName(name: string, options?: { locationHint?: string }): DurableObjectStub<Instance>;
}

interface DurableObjectListOptions {
  start?: string;
  startAfter?: string;
  end?: string;
  prefix?: string;
  reverse?: boolean;
  limit?: number;
}
interface DurableObjectKeys {
  get<Value = unknown>(key: string): Promise<Value | undefined>;
  get<Value = unknown>(keys: string[]): Promise<Map<string, Value>>;
  put<Value>(key: string, value: Value): Promise<void>;
  put<Value>(entries: Record<string, Value>): Promise<void>;
  delete(key: string): Promise<boolean>;
  delete(keys: string[]): Promise<number>;
  list<Value = unknown>(options?: DurableObjectListOptions): Promise<Map<string, Value>>;
}
interface DurableObjectTransaction extends DurableObjectKeys {
  rollback(): void;
}
interface DurableObjectStorage extends DurableObjectKeys {
  readonly sql: SqlStorage;
  readonly kv: SyncKvStorage;
  deleteAll(): Promise<void>;
  getAlarm(): Promise<number | null>;
  setAlarm(time: number | Date): Promise<void>;
  deleteAlarm(): Promise<void>;
  sync(): Promise<void>;
  transaction<Result>(work: (transaction: DurableObjectTransaction) => Promise<Result>): Promise<Result>;
  transactionSync<Result>(work: () => Result): Result;
}
interface SyncKvStorage {
  get<Value = unknown>(key: string): Value | undefined;
  put<Value>(key: string, value: Value): void;
  delete(key: string): boolean;
  list<Value = unknown>(options?: DurableObjectListOptions): Iterable<[string, Value]>;
}
type SqlStorageValue = ArrayBuffer | string | number | null;
interface SqlStorage {
  readonly databaseSize: number;
  exec<Row extends Record<string, SqlStorageValue> = Record<string, SqlStorageValue>>(
    query: string,
    ...bindings: any[]
  ): SqlStorageCursor<Row>;
}
interface SqlStorageCursor<Row> extends Iterable<Row> {
  readonly columnNames: string[];
  readonly rowsRead: number;
  readonly rowsWritten: number;
  next(): { done?: false; value: Row } | { done: true; value?: never };
  toArray(): Row[];
  one(): Row;
  raw<Values extends SqlStorageValue[] = SqlStorageValue[]>(): IterableIterator<Values>;
}
interface DurableObjectState<Props = any> {
  readonly id: DurableObjectId;
  readonly storage: DurableObjectStorage;
  readonly props: Props;
  waitUntil(promise: Promise<unknown>): void;
  blockConcurrencyWhile<Result>(callback: () => Promise<Result>): Promise<Result>;
  abort(reason?: string): void;
  acceptWebSocket(socket: WebSocket, tags?: string[]): void;
  getWebSockets(tag?: string): WebSocket[];
  getTags(socket: WebSocket): string[];
  setWebSocketAutoResponse(pair?: WebSocketRequestResponsePair): void;
  getWebSocketAutoResponse(): WebSocketRequestResponsePair | null;
  getWebSocketAutoResponseTimestamp(socket: WebSocket): Date | null;
}
interface AlarmInvocationInfo {
  readonly isRetry: boolean;
  readonly retryCount: number;
  readonly scheduledTime: number;
}

// What is added to the web platform -----------------------------------------------------------------------------------

declare class WebSocketPair {
  0: WebSocket;
  1: WebSocket;
  [Symbol.iterator](): IterableIterator<WebSocket>;
}
declare class WebSocketRequestResponsePair {
  constructor(request: string, response: string);
  readonly request: string;
  readonly response: string;
}
interface WebSocket {
  accept(): void;
  serializeAttachment(value: any): void;
  deserializeAttachment(): any;
}
interface ResponseInit {
  webSocket?: WebSocket | null;
}
interface Response {
  readonly webSocket: WebSocket | null;
}
interface CacheStorage {
  readonly default: Cache;
}
interface SymbolConstructor {
  readonly dispose: unique symbol;
  readonly asyncDispose: unique symbol;
}
interface Scheduler {
  wait(milliseconds: number, options?: { signal?: AbortSignal }): Promise<void>;
}
declare const scheduler: Scheduler;

declare class ServiceBinding {
  constructor(name: string);
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  [method: string]: any;
}

interface HTMLRewriterContent {
  html?: boolean;
}
type HTMLRewriterInsert = string | ReadableStream | Response;
interface HTMLRewriterToken {
  readonly removed: boolean;
  before(content: HTMLRewriterInsert, options?: HTMLRewriterContent): this;
  after(content: HTMLRewriterInsert, options?: HTMLRewriterContent): this;
  replace(content: HTMLRewriterInsert, options?: HTMLRewriterContent): this;
  remove(): this;
}
interface HTMLRewriterElement extends HTMLRewriterToken {
  tagName: string;
  readonly namespaceURI: string;
  readonly attributes: IterableIterator<string[]>;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  setAttribute(name: string, value: string): this;
  removeAttribute(name: string): this;
  prepend(content: HTMLRewriterInsert, options?: HTMLRewriterContent): this;
  append(content: HTMLRewriterInsert, options?: HTMLRewriterContent): this;
  setInnerContent(content: HTMLRewriterInsert, options?: HTMLRewriterContent): this;
  removeAndKeepContent(): this;
  onEndTag(handler: (tag: any) => void | Promise<void>): void;
}
interface HTMLRewriterText extends HTMLRewriterToken {
  readonly text: string;
  readonly lastInTextNode: boolean;
}
interface HTMLRewriterComment extends HTMLRewriterToken {
  text: string;
}
declare class HTMLRewriter {
  on(
    selector: string,
    handlers: {
      element?(element: HTMLRewriterElement): unknown;
      comments?(comment: HTMLRewriterComment): unknown;
      text?(chunk: HTMLRewriterText): unknown;
    },
  ): this;
  onDocument(handlers: {
    doctype?(doctype: { name: string | null; publicId: string | null; systemId: string | null }): unknown;
    comments?(comment: HTMLRewriterComment): unknown;
    text?(chunk: HTMLRewriterText): unknown;
    end?(end: { append(content: string, options?: HTMLRewriterContent): void }): unknown;
  }): this;
  transform(response: Response): Response;
}

// Modules -------------------------------------------------------------------------------------------------------------

declare module "cloudflare:workers" {
  export abstract class WorkerEntrypoint<Env = unknown, Props = any> {
    constructor(ctx: ExecutionContext<Props>, env: Env);
    protected ctx: ExecutionContext<Props>;
    protected env: Env;
  }
  export abstract class DurableObject<Env = unknown, Props = any> {
    constructor(ctx: DurableObjectState<Props>, env: Env);
    protected ctx: DurableObjectState<Props>;
    protected env: Env;
  }
  export abstract class RpcTarget {
    private readonly isLent: never;
  }
  // Stubs come with calls and their results; one of one's own counts among those that hold its target.
  export const RpcStub: {
    new <T extends RpcTarget | ((...given: any[]) => any)>(target: T): RpcValue<T>;
  };
  export type RpcStub<T> = RpcValue<T>;
  export const env: Record<string, any>;
  export function waitUntil(promise: Promise<unknown>): void;
}

declare module "node:assert" {
  interface Assert {
    (value: unknown, message?: string | Error): asserts value;
    ok(value: unknown, message?: string | Error): asserts value;
    fail(message?: string | Error): never;
    equal(actual: unknown, expected: unknown, message?: string | Error): void;
    notEqual(actual: unknown, expected: unknown, message?: string | Error): void;
    strictEqual<Expected>(actual: unknown, expected: Expected, message?: string | Error): asserts actual is Expected;
    notStrictEqual(actual: unknown, expected: unknown, message?: string | Error): void;
    deepEqual(actual: unknown, expected: unknown, message?: string | Error): void;
    notDeepEqual(actual: unknown, expected: unknown, message?: string | Error): void;
    deepStrictEqual<Expected>(actual: unknown, expected: Expected, message?: string | Error): asserts actual is Expected;
    notDeepStrictEqual(actual: unknown, expected: unknown, message?: string | Error): void;
    match(text: string, pattern: RegExp, message?: string | Error): void;
    doesNotMatch(text: string, pattern: RegExp, message?: string | Error): void;
    throws(block: () => unknown, expected?: any, message?: string | Error): void;
    doesNotThrow(block: () => unknown, message?: string | Error): void;
    rejects(block: Promise<unknown> | (() => Promise<unknown>), expected?: any, message?: string | Error): Promise<void>;
    doesNotReject(block: Promise<unknown> | (() => Promise<unknown>), message?: string | Error): Promise<void>;
    ifError(value: unknown): void;
    strict: Assert;
  }
  const assert: Assert;
  export default assert;
}

// The others that are there have no types of their own here.
declare module "node:async_hooks";
declare module "node:buffer";
declare module "node:events";
declare module "node:path";
declare module "node:process";
declare module "node:querystring";
declare module "node:string_decoder";
declare module "node:timers";
declare module "node:url";
declare module "node:util";

declare module "*.txt" {
  const text: string;
  export default text;
}
declare module "*.html" {
  const text: string;
  export default text;
}
declare module "*.md" {
  const text: string;
  export default text;
}
declare module "*.sql" {
  const text: string;
  export default text;
}
declare module "*.bin" {
  const bytes: ArrayBuffer;
  export default bytes;
}
declare module "*.wasm" {
  const bytes: ArrayBuffer;
  export default bytes;
}
