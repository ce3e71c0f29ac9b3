// The module "node:perf_hooks": the clock.

import { missing } from "pyworkerd:node_parts/errors";

export const { performance, Performance } = globalThis;
export const PerformanceObserver = function () { throw missing("perf_hooks.PerformanceObserver"); };
export const createHistogram = () => { throw missing("perf_hooks.createHistogram"); };
export const monitorEventLoopDelay = () => { throw missing("perf_hooks.monitorEventLoopDelay"); };
export const constants = Object.freeze({});

export default {
  Performance, PerformanceObserver, constants, createHistogram, monitorEventLoopDelay, performance,
};
