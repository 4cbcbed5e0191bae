/** What a benchmark gets. Human lines go through `say`; what `run` answers is printed by main.ts as the last line. */
export type BenchOptions = {
  /** Shorter and rougher: to see that it runs. */
  readonly quick: boolean;
  /** Further arguments of the command line, for example `--profile`. */
  readonly flags: ReadonlySet<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
};

/** A file `test/bench/<name>.ts` exports these two. */
export type Bench = {
  /** One line: what it measures. */
  readonly about: string;
  run(options: BenchOptions): Promise<object>;
};
