/**
 * Does one installation step and says in one line what it installed and how long it took.
 * On stderr, because the last line on stdout belongs to the command (`bench` and `demo -- --check` print JSON there).
 *
 * @template T
 * @param {string} what what is being installed, as a user would call it
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function install(what, work) {
  const started = performance.now();
  const done = await work();
  process.stderr.write(`setup: ${what} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`);
  return done;
}

/** A setup that cannot go on: the message names the remedy, so no stack is shown. */
export class SetupError extends Error {}
