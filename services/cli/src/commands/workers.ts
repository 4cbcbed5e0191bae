import type { Fleet } from '../fleet.ts';
import { say, span, table, type Output } from '../output.ts';

/** The workers alive now. */
export async function workers(fleet: Fleet, output: Output): Promise<void> {
  const alive = await fleet.workers.list();
  say(output, { workers: alive }, () =>
    alive.length === 0
      ? 'no workers\n'
      : table(
          ['worker', 'sessions', 'capacity', 'load', 'draining', 'version', 'up'],
          alive.map(({ id, live, capacity, load, draining, version, since }) => [
            id,
            live,
            capacity,
            load.toFixed(2),
            draining ? 'yes' : 'no',
            version,
            span(Date.now() - Date.parse(since)),
          ]),
        ),
  );
}
