/** One thing wrong with the environment: which variable, and what to do about it. */
export type ConfigProblem = { readonly variable: string; readonly problem: string };

/** Exit status of a process that was configured wrongly: EX_CONFIG of sysexits.h; a supervisor must not retry it blindly. */
export const EX_CONFIG = 78;

/** Everything that is wrong with the environment, at once. Carries no values: a wrong TAVUS_API_KEY is still a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = EX_CONFIG;
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(
      ['The environment is not usable:', ...problems.map(({ variable, problem }) => `  ${variable} ${problem}`)].join(
        '\n',
      ),
    );
    this.problems = problems;
  }
}
