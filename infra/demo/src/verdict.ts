/** What the check measured; `undefined` = could not be measured, which is a failure of its own. Times in ms. */
export type Figures = Readonly<Record<string, unknown>>;

type Bound = { readonly name: string; readonly expected: number; readonly kind: 'at most' | 'at least' | 'exactly' };

/** What is expected on a calm machine. Shared machines are noisy: a time may be three times that before the check fails; content may not. */
const bounds: readonly Bound[] = [
  { name: 'startToLiveMs', expected: 2_000, kind: 'at most' },
  { name: 'firstChunkToUserRoomMs', expected: 350, kind: 'at most' },
  { name: 'interruptToSilenceMs', expected: 250, kind: 'at most' },
  { name: 'audioCorrelation', expected: 0.95, kind: 'at least' },
  { name: 'lastUtteranceCorrelation', expected: 0.95, kind: 'at least' },
  { name: 'videoFps', expected: 20, kind: 'at least' },
  { name: 'unended', expected: 0, kind: 'exactly' },
  { name: 'externalRequests', expected: 0, kind: 'exactly' },
];
const NOISE = 3;
/** The mouth must be seen to move: this much wider open, on average, while speaking than at rest. */
const MOUTH_MOVES = 0.1;

/** What is wrong (empty = passed), and the figures with the expectation beside each. */
export function judge(
  figures: Figures,
  more: readonly string[] = [],
): { problems: string[]; report: Record<string, unknown> } {
  const problems = [...more];
  for (const { name, expected, kind } of bounds) {
    const value = figures[name];
    if (typeof value !== 'number' || Number.isNaN(value)) problems.push(`${name} was not measured`);
    else if (
      kind === 'exactly'
        ? value !== expected
        : kind === 'at most'
          ? value > expected * NOISE
          : value < (name === 'videoFps' ? expected / NOISE : expected)
    )
      problems.push(`${name} is ${round(value)}, expected ${kind} ${expected}`);
  }
  const [speaking, resting] = [Number(figures['mouthSpeaking']), Number(figures['mouthResting'])];
  if (!(speaking > resting + MOUTH_MOVES))
    problems.push(`the mouth does not move with speech: ${round(speaking)} while speaking, ${round(resting)} at rest`);
  const rounded = Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, typeof value === 'number' ? round(value) : (value ?? null)]),
  );
  const expected = Object.fromEntries(bounds.map(({ name, expected: bound, kind }) => [name, `${kind} ${bound}`]));
  return { problems, report: { passed: problems.length === 0, ...rounded, expected } };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
