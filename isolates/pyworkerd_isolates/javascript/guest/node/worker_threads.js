// The module "node:worker_threads": there is one thread.

import { absent } from "pyworkerd:node_parts/absent";

const INSTEAD = "a worker has one thread. Call another worker by a service binding";
const all = absent("worker_threads", INSTEAD, {
  isMainThread: true, parentPort: null, resourceLimits: {}, threadId: 0, workerData: null,
});

export const {
  BroadcastChannel, MessageChannel, MessagePort, Worker, getEnvironmentData, isMainThread, parentPort,
  receiveMessageOnPort, resourceLimits, setEnvironmentData, threadId, workerData,
} = all;
export default all;
