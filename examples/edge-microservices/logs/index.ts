// What the other workers did, for a day, as `log:<time>` in a namespace of its own.

export default {
  async tail(events: TraceItem[], env: LogsEnv): Promise<void> {
    const entries = events.map(({ scriptName, outcome, eventTimestamp, logs, cpuTime, wallTime }) => ({
      key: `log:${new Date(eventTimestamp).toISOString()}:${crypto.randomUUID().slice(0, 8)}`,
      value: JSON.stringify({ scriptName, outcome, logs: logs.map(({ message }) => message[0]), cpuTime, wallTime }),
    }));
    await Promise.all(entries.map(({ key, value }) => env.LOGS.put(key, value, { expirationTtl: 86_400 })));
  },
};
