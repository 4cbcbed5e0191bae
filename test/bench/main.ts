// `npm run bench` lists the benchmarks, `npm run bench -- NAME [--quick]` runs one. The last line on stdout is one JSON object.
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Bench } from './harness/bench.ts';
import { machine } from './harness/machine.ts';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
  .map((file) => file.slice(0, -'.ts'.length))
  .toSorted();

// Safe: every file beside this one exports `about` and `run` (`satisfies Bench` is not possible for a module).
const load = async (name: string): Promise<Bench> => (await import(`./${name}.ts`)) as Bench;

async function list(): Promise<void> {
  const width = Math.max(...names.map((name) => name.length));
  for (const name of names) console.log(`${name.padEnd(width)}  ${(await load(name)).about}`);
}

async function runOne(name: string, flags: ReadonlySet<string>): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  const before = machine();
  const figures = await (
    await load(name)
  ).run({ quick: flags.has('quick'), flags, env: process.env, signal: stop.signal, say: (line) => console.log(line) });
  console.log(
    JSON.stringify({
      bench: name,
      quick: flags.has('quick'),
      ...figures,
      machine: { ...before, loadAverageAfter: machine().loadAverage },
    }),
  );
}

const { positionals, values } = parseArgs({ allowPositionals: true, strict: false });
const [name] = positionals;
if (name === undefined) await list();
else if (names.includes(name)) await runOne(name, new Set(Object.keys(values)));
else {
  console.error(`There is no benchmark '${name}'. There are: ${names.join(', ')}`);
  process.exitCode = 1;
}
