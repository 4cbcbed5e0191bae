import { ConfigError, type ConfigProblem } from './config-error.ts';
import { brokenRules } from './rules.ts';
import { shapes, type Settings } from './settings.ts';
import { variableNames, variables, type Service, type Values, type VariableName } from './variables.ts';

/** The environment as text; main.ts hands process.env in, nobody else reads it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Typed, deeply frozen settings of one service. Variables it does not use are not looked at, so that a wrong WORKER_PORT does not
 * stop the API. Throws one {@link ConfigError} that lists everything wrong.
 */
export function loadConfig<S extends Service>(service: S, env: Environment): Settings[S] {
  const problems: ConfigProblem[] = [];
  const parsed = Object.fromEntries(variableNames.map((name) => [name, read(service, name, env, problems)]));
  const values = parsed as Values; // safe: every name is present, each parsed by its own format (or by its fallback, see read)
  const broken = brokenRules(service, values).filter(
    ({ variable }) => !problems.some((problem) => problem.variable === variable),
  );
  if (problems.length + broken.length > 0) throw new ConfigError([...problems, ...broken]);
  return deepFreeze(shapes[service](values));
}

// A malformed variable is reported and stands at its fallback, so that the rules across variables can still be checked.
function read(service: Service, name: VariableName, env: Environment, problems: ConfigProblem[]): unknown {
  const { format, fallback, usedBy } = variables[name];
  if (!usedBy.includes(service)) return format.parse(fallback);
  const result = format.safeParse(env[name]?.trim() || fallback);
  if (result.success) return result.data;
  for (const issue of result.error.issues) problems.push({ variable: name, problem: issue.message });
  return format.parse(fallback);
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
