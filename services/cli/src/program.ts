import type { CliConfig } from '@tavus-fleet/config';
import { asFleetError, ConversationState } from '@tavus-fleet/contracts';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { drain, end } from './commands/control.ts';
import { doctor } from './commands/doctor.ts';
import { ledger } from './commands/ledger.ts';
import { list } from './commands/list.ts';
import { show } from './commands/show.ts';
import { workers } from './commands/workers.ts';
import { exitCodes } from './exit-codes.ts';
import { Fleet } from './fleet.ts';
import type { Output } from './output.ts';

export type Surroundings = {
  /** Read when a command runs, so that `--help` works anywhere. Throws ConfigError. */
  readonly config: () => CliConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
};

/** Runs one command line (without node and script) and answers the exit code. Throws ConfigError. */
export async function run(argv: readonly string[], around: Surroundings): Promise<number> {
  let code: number = exitCodes.done;
  const program = new Command('fleet')
    .description(
      'Look after a fleet. Works on its Redis directly (REDIS_URL, KEY_PREFIX): whoever runs it is fully trusted.',
    )
    .option('--json', 'one JSON object instead of a table')
    .exitOverride()
    .configureOutput({ writeOut: around.write, writeErr: around.complain });

  const on = async (work: (fleet: Fleet, output: Output) => Promise<number | void>): Promise<void> => {
    await using fleet = new Fleet(around.config());
    code = (await work(fleet, { json: program.opts<{ json?: boolean }>().json === true, write: around.write })) ?? code;
  };

  program
    .command('list')
    .description('conversations that are not over, newest first')
    .option('--all', 'also those that are over (a record is kept for 7 days)')
    .addOption(new Option('--state <state>', 'only these').choices(ConversationState.options))
    .option('--limit <n>', 'at most so many', positive, 100)
    .action((options: { all?: boolean; state?: ConversationState; limit: number }) =>
      on((fleet, output) => list(fleet, options, output)),
    );
  program
    .command('show <conversation>')
    .description('one conversation: record, ledger rows, last events')
    .action((id: string) => on((fleet, output) => show(fleet, id, output)));
  for (const verb of ['stop', 'cancel'] as const) {
    program
      .command(`${verb} <conversation>`)
      .description(verb === 'stop' ? 'plays what was accepted, then ends it' : 'ends it at once')
      .option('--reason <text>', 'kept with the order', '')
      .action((id: string, { reason }: { reason: string }) =>
        on((fleet, output) => end(fleet, id, verb, reason, output)),
      );
  }
  program
    .command('workers')
    .description('workers alive now')
    .action(() => on(workers));
  program
    .command('drain <worker>')
    .description('lets a worker take no more and finish or hand over what it has')
    .action((id: string) => on((fleet, output) => drain(fleet, id, output)));
  program
    .command('ledger')
    .description('Tavus conversations that may cost money, provider slots, the last audit')
    .option('--tavus', "compare with Tavus' own list; exit 1 if something runs that should not")
    .action((options: { tavus?: boolean }) => on((fleet, output) => ledger(fleet, options, output)));
  program
    .command('doctor')
    .description('checks Redis, keys, Tavus, Chromium, clocks, workers; exit 1 if something is wrong')
    .option('--no-browser', 'leave Chromium out')
    .action(({ browser }: { browser: boolean }) =>
      on((fleet, output) => doctor(fleet, { env: around.env, browser }, output)),
    );

  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    if (error instanceof Error && error.name === 'ConfigError') throw error;
    const { code: word, message, cause } = asFleetError(error);
    around.complain(`${word === 'internal' && cause instanceof Error ? cause.message : message}\n`);
    return word === 'redis-unavailable' || word.startsWith('tavus-') ? exitCodes.unavailable : exitCodes.no;
  }
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('must be a whole number from 1 on');
  return Number(text);
}
