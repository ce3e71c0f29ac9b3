// What each shape of a binding is on `env`; each is an index into this worker's own table, and says nothing elsewhere.

import { setShapes } from "pyworkerd:system/environment";
import { D1Database } from "pyworkerd:workers/d1";
import { DurableObjectNamespace } from "pyworkerd:workers/durable";
import { fetcher } from "pyworkerd:workers/fetcher";
import { KVNamespace } from "pyworkerd:workers/kv";
import { WorkerLoader } from "pyworkerd:workers/loader";
import { Queue } from "pyworkerd:workers/queue";
import { R2Bucket } from "pyworkerd:workers/r2";
import { AnalyticsEngineDataset, callable, Hello, RateLimit } from "pyworkerd:workers/simple";

setShapes({
  analytics_engine: (index) => new AnalyticsEngineDataset(index),
  callable,
  d1: (index) => new D1Database(index),
  durable_object: (index, key) => new DurableObjectNamespace(index, key),
  fetcher,
  hello: (index) => new Hello(index),
  kv: (index) => new KVNamespace(index),
  queue: (index) => new Queue(index),
  r2: (index) => new R2Bucket(index),
  rate_limit: (index) => new RateLimit(index),
  worker_loader: (index) => new WorkerLoader(index),
});
