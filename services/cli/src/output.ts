/** Where a command speaks: tables for people, JSON for machines. */
export type Output = {
  readonly json: boolean;
  readonly write: (text: string) => void;
};

/** Rows of texts under a header, in columns; `-` where there is nothing. */
export function table(header: readonly string[], rows: readonly (readonly (string | number | undefined)[])[]): string {
  const texts = [header, ...rows].map((row) =>
    row.map((cell) => (cell === undefined || cell === '' ? '-' : String(cell))),
  );
  const widths = header.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return `${texts.map(line).join('\n')}\n`;
}

/** Writes `value` as one JSON line, or `human()`. */
export function say(output: Output, value: unknown, human: () => string): void {
  output.write(output.json ? `${JSON.stringify(value)}\n` : human());
}

/** A duration as a person says it: 950 ms, 12 s, 4 min, 3 h. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  return ms < 2 * 3_600_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
