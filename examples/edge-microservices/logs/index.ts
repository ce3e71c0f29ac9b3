// What the other workers did, for a day, as `log:<time>` in a namespace of its own.

interface Env {
  LOGS: KV;
}

interface Told {
  scriptName: string;
  outcome: string;
  eventTimestamp: number;
  logs: { message: string[] }[];
  cpuTime: number;
  wallTime: number;
}

export default {
  async tail(events: Told[], env: Env): Promise<void> {
    const entries = events.map(({ scriptName, outcome, eventTimestamp, logs, cpuTime, wallTime }) => ({
      key: `log:${new Date(eventTimestamp).toISOString()}:${crypto.randomUUID().slice(0, 8)}`,
      value: JSON.stringify({ scriptName, outcome, logs: logs.map(({ message }) => message[0]), cpuTime, wallTime }),
    }));
    await Promise.all(entries.map(({ key, value }) => env.LOGS.put(key, value, { expirationTtl: 86_400 })));
  },
};
