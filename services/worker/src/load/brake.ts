/** What can be short: in shares of what there is (cpu, memory) and in ms (eventLoop). Undefined: not known, so not short. */
export type Signals = {
  readonly cpu?: number | undefined;
  readonly memory?: number | undefined;
  readonly eventLoopMs?: number | undefined;
};
export type Shortage = 'cpu' | 'memory' | 'event-loop';
/** At `on` no further session is taken, until it is at `off` again: between the two nothing changes, so that it does not flutter. */
export type Band = { readonly on: number; readonly off: number };
export type Bands = Readonly<Record<Shortage, Band>>;

const shortages = ['memory', 'cpu', 'event-loop'] as const;
const valueOf = (signals: Signals): Record<Shortage, number | undefined> => ({
  cpu: signals.cpu,
  memory: signals.memory,
  'event-loop': signals.eventLoopMs,
});

/** The bands for limits given as shares (0–1) of CPU and memory. */
export function bandsFor(limits: { readonly cpu: number; readonly memory: number }): Bands {
  return {
    cpu: { on: limits.cpu, off: limits.cpu * 0.85 },
    memory: { on: limits.memory, off: limits.memory * 0.95 },
    // Speech is handed on in pieces of 20 ms with 40 ms of them in hand in the page: past this it is heard.
    'event-loop': { on: 100, off: 40 },
  };
}

/** Pure: what is short now, given what was. */
export function shortOf(before: ReadonlySet<Shortage>, signals: Signals, bands: Bands): ReadonlySet<Shortage> {
  const values = valueOf(signals);
  return new Set(
    shortages.filter((name) => {
      const value = values[name];
      return value !== undefined && value >= (before.has(name) ? bands[name].off : bands[name].on);
    }),
  );
}

/** How near the nearest of the limits is; 1 = reached. */
export function nearness(signals: Signals, bands: Bands): number {
  const values = valueOf(signals);
  return Math.max(0, ...shortages.map((name) => Math.min(1, (values[name] ?? 0) / bands[name].on)));
}

/** The next value of a running mean over about `windowMs`, so that a moment's peak is not a shortage. */
export function smoothed(
  before: number | undefined,
  value: number | undefined,
  stepMs: number,
  windowMs: number,
): number | undefined {
  if (value === undefined) return before;
  if (before === undefined) return value;
  return before + (value - before) * (1 - Math.exp(-stepMs / windowMs));
}
